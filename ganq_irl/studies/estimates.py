"""From the results of a grid's cells to estimates with intervals, method by method and pair by pair."""

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
    """A method as it stands in a table: with its variation, under a protocol, for a number of demonstrations.

    Attributes:
        protocol: one of ``PROTOCOLS``.
        n_demos: number of demonstrations; None where it sees none.
        method: name of the method.
        variation: its varied settings; "" where nothing varies.
        is_control: whether its discriminator never learns.
    """

    protocol: str
    n_demos: int | None
    method: str
    variation: str
    is_control: bool

    @property
    def contest(self) -> tuple[str, int | None]:
        """Those that are shown the same compete with one another."""
        return self.protocol, self.n_demos

    @property
    def name(self) -> str:
        """Method and variation."""
        return f"{self.method}, {self.variation}" if self.variation else self.method

    @property
    def label(self) -> str:
        """Name, and number of demonstrations n."""
        return self.name if self.n_demos is None else f"{self.name}, n={self.n_demos}"


@dataclass(frozen=True)
class Row:
    """One contender in one environment, or in all of them.

    Attributes:
        contender: who.
        env: Gymnasium id, or ``ALL``.
        final: interquartile mean of the final policies' returns; None for ``ALL``, whose returns are on different scales.
        normalized: the same between random (0) and expert (1); None where those are unknown.
        area: mean height of the learning curves between random and expert; None as well where there are no curves.
        runs: runs that ended well.
        failed: runs that failed.
        missing: runs that are still to be done.
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
    """Chance that a run of one contender ends above a run of another in the same environment.

    Attributes:
        first: one.
        second: the other, of the same contest.
        env: Gymnasium id, or ``ALL``, where it is the mean over environments.
        probability: that ``first`` ends above ``second``.
    """

    first: Contender
    second: Contender
    env: str
    probability: Estimate


@dataclass(frozen=True)
class Comparison:
    """Everything that tables, verdict and report show.

    Attributes:
        rows: contest after contest; in each the environments, and ``ALL`` last where there are several.
        pairs: pairs within a contest, per environment and over all.
    """

    rows: list[Row]
    pairs: list[PairwiseComparison]


def compare_results(results: Sequence[Result], rng: np.random.Generator, *, n_resamples: int = 5_000) -> Comparison:
    """Estimate what each contender reaches, and how often it beats the others.

    Args:
        results: of all cells of a grid.
        rng: draws the bootstrap resamples.
        n_resamples: of each interval.
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
    """Results by who produced them, protocol after protocol."""
    groups: dict[Contender, list[Result]] = {}
    for result in results:
        cell = result.cell
        control = cell.method.control is not None
        contender = Contender(cell.method.protocol, cell.n_demos, cell.method.name, cell.variation, control)
        groups.setdefault(contender, []).append(result)
    return dict(sorted(groups.items(), key=lambda item: (PROTOCOLS.index(item[0].protocol), item[0].n_demos or 0)))


def contests(contenders: Iterable[Contender]) -> list[tuple[str, int | None]]:
    """The contests that there are, in the contenders' order."""
    return list(dict.fromkeys(contender.contest for contender in contenders))


def scores_of(results: Sequence[Result], value: Callable[[Result], float | None], env: str = ALL) -> Scores:
    """One number a finished run, by environment; runs without that number are left out."""
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
    """Pairs that have a task in common. Only order matters here, so that returns need no common scale."""
    scores = {contender: scores_of(groups[contender], lambda result: result.mean_return, env) for contender in entrants}
    return [
        PairwiseComparison(first, second, env, probability_of_improvement(scores[first], scores[second]))
        for first, second in combinations(entrants, 2)
        if scores[first].by_task.keys() & scores[second].by_task.keys()
    ]
