"""Estimates with confidence intervals from the results of a grid, for each method and each pair of methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ganq_irl.evaluation import Estimate, Scores, interquartile_mean, probability_of_improvement
from ganq_irl.studies.methods import PROTOCOLS
from ganq_irl.studies.results import DONE, FAILED, MISSING, Result

ALL = "all environments"


@dataclass(frozen=True)
class Contender:
    """A method in a table: with its variation, protocol and number of demonstrations.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        n_demos: number of demonstrations; None for methods without demonstrations.
        method: name of the method.
        variation: the varied settings; "" if nothing varies.
        is_control: whether its discriminator is frozen.
    """

    protocol: str
    n_demos: int | None
    method: str
    variation: str
    is_control: bool

    @property
    def contest(self) -> tuple[str, int | None]:
        """Protocol and number of demonstrations: only methods that see the same are compared."""
        return self.protocol, self.n_demos

    @property
    def name(self) -> str:
        """Method and variation."""
        return f"{self.method}, {self.variation}" if self.variation else self.method

    @property
    def label(self) -> str:
        """Name and number of demonstrations."""
        return self.name if self.n_demos is None else f"{self.name}, n={self.n_demos}"


@dataclass(frozen=True)
class Row:
    """A row of a table: one contender in one environment, or in all.

    Attributes:
        contender: the contender.
        env: Gymnasium id, or ``ALL``.
        final: interquartile mean of the final returns; None for ``ALL``, since returns have different scales.
        normalized: the same with random play as 0 and the expert as 1; None if those are unknown.
        area: normalized mean height of the learning curves; None if there are no curves.
        runs: number of runs that are done.
        failed: number of runs that failed.
        missing: number of runs that have not run yet.
    """

    contender: Contender
    env: str
    final: Estimate | None
    normalized: Estimate | None
    area: Estimate | None
    runs: int
    failed: int
    missing: int


@dataclass(frozen=True)
class PairwiseComparison:
    """Probability that a run of one contender has a higher final return than a run of another.

    Attributes:
        first: one contender.
        second: another one of the same contest.
        env: Gymnasium id, or ``ALL`` for the mean over environments.
        probability: probability that ``first`` ends above ``second``.
    """

    first: Contender
    second: Contender
    env: str
    probability: Estimate


@dataclass(frozen=True)
class Comparison:
    """The estimates behind tables, verdict and report.

    Attributes:
        rows: rows by contest and environment; with several environments, ``ALL`` is last.
        pairs: comparisons within each contest, per environment and over all.
    """

    rows: list[Row]
    pairs: list[PairwiseComparison]


def compare_results(results: Sequence[Result], rng: np.random.Generator, *, n_resamples: int = 5_000) -> Comparison:
    """Estimate the scores of each contender and the probability of improvement of each pair.

    Args:
        results: the results of all cells of a grid.
        rng: draws the bootstrap resamples.
        n_resamples: number of resamples for each interval.
    """
    groups = by_contender(results)
    envs = list(dict.fromkeys(result.cell.env for result in results))
    places = [*envs, ALL] if len(envs) > 1 else envs
    rows, pairs = [], []
    for contest in contests(groups):
        entrants = [contender for contender in groups if contender.contest == contest]
        for env in places:
            rows += [_row(contender, env, groups[contender], rng, n_resamples) for contender in entrants]
            pairs += _pairs(entrants, env, groups)
    return Comparison(rows, pairs)


def by_contender(results: Iterable[Result]) -> dict[Contender, list[Result]]:
    """Group results by contender, ordered by protocol and number of demonstrations."""
    groups: dict[Contender, list[Result]] = {}
    for result in results:
        cell = result.cell
        control = cell.method.control is not None
        contender = Contender(cell.method.protocol, cell.n_demos, cell.method.name, cell.variation, control)
        groups.setdefault(contender, []).append(result)
    return dict(sorted(groups.items(), key=lambda item: (PROTOCOLS.index(item[0].protocol), item[0].n_demos or 0)))


def contests(contenders: Iterable[Contender]) -> list[tuple[str, int | None]]:
    """Return the distinct contests in the order of the contenders."""
    return list(dict.fromkeys(contender.contest for contender in contenders))


def scores_of(results: Sequence[Result], value: Callable[[Result], float | None], env: str = ALL) -> Scores:
    """Return one number per finished run, by environment; runs without that number are left out."""
    chosen = [result for result in results if env in (ALL, result.cell.env)]
    by_task: dict[str, list[float]] = {}
    for result in chosen:
        number = value(result) if result.status == DONE else None
        if number is not None:
            by_task.setdefault(result.cell.env, []).append(number)
    failed = sum(result.status == FAILED for result in chosen)
    return Scores({task: np.array(numbers) for task, numbers in by_task.items()}, failed)


def _row(contender: Contender, env: str, results: list[Result], rng: np.random.Generator, n_resamples: int) -> Row:
    def estimate(value: Callable[[Result], float | None]) -> Estimate | None:
        scores = scores_of(results, value, env)
        return interquartile_mean(scores, rng, n_resamples=n_resamples) if scores.runs else None

    statuses = [result.status for result in results if env in (ALL, result.cell.env)]
    return Row(
        contender,
        env,
        final=None if env == ALL else estimate(lambda result: result.mean_return),
        normalized=estimate(lambda result: result.normalized),
        area=estimate(lambda result: result.normalized_area),
        runs=statuses.count(DONE),
        failed=statuses.count(FAILED),
        missing=statuses.count(MISSING),
    )


def _pairs(entrants: list[Contender], env: str, groups: dict[Contender, list[Result]]) -> list[PairwiseComparison]:
    """Compare all pairs that share an environment. Only the order of returns matters, so they need no common scale."""
    scores = {contender: scores_of(groups[contender], lambda result: result.mean_return, env) for contender in entrants}
    return [
        PairwiseComparison(first, second, env, probability_of_improvement(scores[first], scores[second]))
        for first, second in combinations(entrants, 2)
        if scores[first].by_task.keys() & scores[second].by_task.keys()
    ]
