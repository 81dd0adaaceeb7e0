"""Statistics over runs: interquartile mean, performance profile and probability of improvement, each with an interval.

The estimates are those of Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
The intervals differ: with the usual three to ten seeds, a percentile bootstrap covers well below its nominal rate, and its
width is 0 if every run of one method beats every run of another. Each function documents its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy  # its submodules are imported when they are first used

from ganq_irl.errors import ConfigurationError

Interval = tuple[float, float]


@dataclass(frozen=True)
class Scores:
    """Scores of one method.

    Attributes:
        by_task: task -> one score per run, ``(n_runs,)`` float64; tasks may have different numbers of runs.
        failed: number of runs that ended without a score and are not in ``by_task``.

    Example:
        >>> scores = Scores({"CartPole-v1": np.array([0.9, 1.0]), "Acrobot-v1": np.array([0.7])}, failed=1)
        >>> scores.runs
        3
    """

    by_task: Mapping[str, np.ndarray]
    failed: int = 0

    @property
    def runs(self) -> int:
        """Number of scores."""
        return sum(len(values) for values in self.by_task.values())

    @property
    def pooled(self) -> np.ndarray:
        """All scores, task by task, ``(runs,)``."""
        return np.concatenate([np.empty(0), *self.by_task.values()])


@dataclass(frozen=True)
class Estimate:
    """An estimate with its confidence interval.

    Attributes:
        value: the estimate; NaN if there are no runs.
        interval: confidence interval; None if there are too few runs to estimate their spread.
        runs: number of scores that it is based on.
        failed: number of runs without a score, which it leaves out.

    Example:
        >>> scores = Scores({"CartPole-v1": np.array([0.9, 1.0, 0.8, 1.0])})
        >>> estimate = interquartile_mean(scores, np.random.default_rng(0))
        >>> estimate.value, estimate.runs
        (0.95, 4)
    """

    value: float
    interval: Interval | None
    runs: int
    failed: int


def interquartile_mean(
    scores: Scores, rng: np.random.Generator, *, level: float = 0.95, n_resamples: int = 5_000
) -> Estimate:
    """Return the mean of the middle half of all scores, pooled over tasks, with a stratified bootstrap interval.

    The runs of each task are resampled separately. The percentiles are expanded to Φ(−√(n/(n−1)) t), where t is the
    quantile of Student's distribution with Σ(n_k − 1) degrees of freedom and n the mean number of runs per task
    (Hesterberg, 2015, "What teachers should know about the bootstrap", there for one sample). This corrects the two reasons
    why few runs give narrow intervals: a variance divided by n instead of n − 1, and the normal quantile. An interval never
    exceeds the range of the runs: with three runs of one task it covers three times in four, with five or more at its
    nominal rate.

    Args:
        scores: scores of one method.
        rng: random generator of the resampling.
        level: nominal coverage.
        n_resamples: number of bootstrap resamples.

    Example:
        >>> scores = Scores({"CartPole-v1": np.array([0.0, 0.9, 1.0, 1.0])})  # one run of four failed to learn
        >>> interquartile_mean(scores, np.random.default_rng(0)).value
        0.95
    """
    samples = [np.asarray(values, np.float64) for values in scores.by_task.values() if len(values)]
    if not samples:
        return Estimate(math.nan, None, 0, scores.failed)
    value = float(_trimmed(*samples))
    interval = None
    if min(map(len, samples)) > 1:
        found = scipy.stats.bootstrap(
            samples,
            _trimmed,
            n_resamples=n_resamples,
            confidence_level=expanded_level([len(sample) for sample in samples], level),
            method="percentile",
            vectorized=True,
            random_state=rng,
        ).confidence_interval
        interval = (float(found.low), float(found.high))
    return Estimate(value, interval, scores.runs, scores.failed)


def expanded_level(counts: list[int], level: float) -> float:
    """Return the level of a percentile interval with coverage ``level``, for strata of ``counts`` runs (at least 2 each)."""
    n = float(np.mean(counts))
    quantile = scipy.special.stdtrit(sum(counts) - len(counts), 0.5 + level / 2)
    return float(1 - 2 * scipy.special.ndtr(-math.sqrt(n / (n - 1)) * quantile))


def _trimmed(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
    return scipy.stats.trim_mean(np.concatenate(samples, axis=axis), 0.25, axis=axis)


def probability_of_improvement(first: Scores, second: Scores, *, level: float = 0.95) -> Estimate:
    """Return the probability that a run of ``first`` beats a run of ``second`` on the same task, averaged over tasks.

    Ties count half; on each task this is the Mann-Whitney U/(mn). The interval contains every θ with |θ − θ̂| ≤ z √V(θ),
    where V is the variance under the model of Hanley and McNeil: method 5 of Newcombe (2006), "Confidence intervals for an
    effect size measure based on the Mann-Whitney statistic, part 2". Unlike a bootstrap, it has a width even if the runs
    are separated. For several tasks, V is the variance of the mean if θ were the same on each; V is nearly concave, so
    unequal tasks make the interval too wide, not too narrow.

    Args:
        first: scores of one method.
        second: scores of the other method; tasks with scores of only one method are left out.
        level: nominal coverage.

    Raises:
        ConfigurationError: the methods share no task.

    Example:
        >>> first, second = Scores({"CartPole-v1": np.array([0.9, 1.0])}), Scores({"CartPole-v1": np.array([0.5, 0.6])})
        >>> probability_of_improvement(first, second).value
        1.0
    """
    tasks = [task for task, values in first.by_task.items() if len(values) and len(second.by_task.get(task, ()))]
    if not tasks:
        raise ConfigurationError(
            f"no task has runs of both methods (first: {sorted(first.by_task)}, second: {sorted(second.by_task)}); "
            "compare methods that ran on the same tasks"
        )
    pairs = [(np.asarray(first.by_task[task]), np.asarray(second.by_task[task])) for task in tasks]
    value = float(np.mean([_superiority(x, y) for x, y in pairs]))
    counts = [(len(x), len(y)) for x, y in pairs]
    runs = sum(len(x) + len(y) for x, y in pairs)
    return Estimate(value, _superiority_interval(value, counts, level), runs, first.failed + second.failed)


def _superiority(x: np.ndarray, y: np.ndarray) -> float:
    wins = x[:, None] - y[None, :]
    return float(np.mean((wins > 0) + 0.5 * (wins == 0)))


def _superiority_interval(value: float, counts: list[tuple[int, int]], level: float) -> Interval:
    z = float(scipy.special.ndtri(0.5 + level / 2))

    def excess(theta: float) -> float:
        """Return a number below 0 inside the interval. It is squared, so that the bounds are simple roots."""
        variance = sum(_superiority_variance(theta, m, n) for m, n in counts) / len(counts) ** 2
        return (theta - value) ** 2 - z**2 * variance

    inside = min(max(value, 1e-9), 1 - 1e-9)  # the variance vanishes at 0 and 1
    low = 0.0 if value == 0 else float(scipy.optimize.brentq(excess, 0.0, inside))
    high = 1.0 if value == 1 else float(scipy.optimize.brentq(excess, inside, 1.0))
    return low, high


def _superiority_variance(theta: float, m: int, n: int) -> float:
    """Return Newcombe's V₅: Hanley and McNeil's variance with both inner sample sizes replaced by their mean."""
    others = (m + n) / 2 - 1
    return theta * (1 - theta) * (1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)


@dataclass(frozen=True)
class Profile:
    """Share of runs above each threshold.

    Attributes:
        thresholds: ``(n,)`` float64.
        shares: share of runs with a score above the threshold, ``(n,)`` in [0, 1].
        low: lower bound of the pointwise interval, ``(n,)``.
        high: upper bound, ``(n,)``.
        runs: number of scores.
        failed: number of runs without a score, which count as below every threshold.

    Example:
        >>> scores = Scores({"CartPole-v1": np.array([0.2, 0.6, 1.0])})
        >>> performance_profile(scores, np.array([0.5, 0.9])).shares
        array([0.66666667, 0.33333333])
    """

    thresholds: np.ndarray
    shares: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: int
    failed: int


def performance_profile(scores: Scores, thresholds: np.ndarray, *, level: float = 0.95) -> Profile:
    """Return the share of runs, pooled over tasks, with a score above each threshold, with Wilson's interval at each.

    Wilson's interval assumes that all runs come from one distribution. If tasks differ, the share varies less, so the
    interval is too wide rather than too narrow. A failed run reaches no threshold.

    Raises:
        ConfigurationError: there are no runs.

    Example:
        >>> scores = Scores({"CartPole-v1": np.array([0.2, 0.6, 1.0])})
        >>> performance_profile(scores, thresholds=np.array([0.5])).shares
        array([0.66666667])
    """
    total = scores.runs + scores.failed
    if total == 0:
        raise ConfigurationError("a performance profile needs at least one run")
    above = (scores.pooled[None, :] > np.asarray(thresholds)[:, None]).sum(axis=1)  # (n,)
    intervals = [scipy.stats.binomtest(int(k), total).proportion_ci(level, method="wilson") for k in above]
    return Profile(
        thresholds=np.asarray(thresholds, np.float64),
        shares=above / total,
        low=np.array([interval.low for interval in intervals]),
        high=np.array([interval.high for interval in intervals]),
        runs=scores.runs,
        failed=scores.failed,
    )


def area_under_curve(steps: np.ndarray, values: np.ndarray) -> float:
    """Return the mean height of a learning curve between its first and last point, by the trapezoidal rule.

    Args:
        steps: environment steps or seconds, ascending, ``(n,)``.
        values: score at each step, ``(n,)``.

    Raises:
        ConfigurationError: there are no points, or ``steps`` is not ascending.

    Example:
        >>> area_under_curve(np.array([0, 100, 200]), np.array([0.0, 1.0, 1.0]))
        0.75
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    widths = np.diff(steps)
    if len(steps) == 0 or len(steps) != len(values) or np.any(widths <= 0):
        raise ConfigurationError(f"a learning curve needs as many values as ascending steps; given {steps} and {values}")
    if len(steps) == 1:
        return float(values[0])
    return float(np.sum(widths * (values[1:] + values[:-1]) / 2) / (steps[-1] - steps[0]))
