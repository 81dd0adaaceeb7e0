"""Estimates with confidence intervals from the results of a grid, for each method and each pair of methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ganq_irl.evaluation import Estimate, Scores, interquartile_mean, probability_of_improvement
from ganq_irl.studies.grid import Cell
from ganq_irl.studies.methods import FROZEN, PROTOCOLS
from ganq_irl.studies.results import DONE, FAILED, MISSING, Result, grouped

ALL = "all environments"


@dataclass(frozen=True)
class Entry:
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
    def track(self) -> tuple[str, int | None]:
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
    """A row of a table: one entry in one environment, or in all.

    Attributes:
        entry: the entry.
        env: Gymnasium id, or ``ALL``.
        final: interquartile mean of the final returns; None for ``ALL``, since returns have different scales.
        normalized: the same with random play as 0 and the expert as 1; None if those are unknown.
        area: normalized mean height of the learning curves; None if there are no curves.
        runs: number of runs that are done.
        failed: number of runs that failed.
        missing: number of runs that have not run yet.
    """

    entry: Entry
    env: str
    final: Estimate | None
    normalized: Estimate | None
    area: Estimate | None
    runs: int
    failed: int
    missing: int


@dataclass(frozen=True)
class PairwiseComparison:
    """Probability that a run of one entry has a higher final return than a run of another.

    Attributes:
        first: one entry.
        second: another one of the same track.
        env: Gymnasium id, or ``ALL`` for the mean over environments.
        probability: probability that ``first`` ends above ``second``.
    """

    first: Entry
    second: Entry
    env: str
    probability: Estimate


@dataclass(frozen=True)
class Comparison:
    """The estimates behind tables, verdict and report.

    Attributes:
        rows: rows by track and environment; with several environments, ``ALL`` is last.
        pairs: comparisons within each track, per environment and over all.
    """

    rows: list[Row]
    pairs: list[PairwiseComparison]


def compare_results(results: Sequence[Result], rng: np.random.Generator, *, n_resamples: int = 5_000) -> Comparison:
    """Estimate the scores of each entry and the probability of improvement of each pair.

    Args:
        results: the results of all cells of a grid.
        rng: draws the bootstrap resamples.
        n_resamples: number of resamples for each interval.
    """
    groups = by_entry(results)
    envs = list(dict.fromkeys(result.cell.env for result in results))
    places = [*envs, ALL] if len(envs) > 1 else envs
    rows, pairs = [], []
    for track in tracks(groups):
        entered = [entry for entry in groups if entry.track == track]
        for env in places:
            rows += [_row(entry, env, groups[entry], rng, n_resamples) for entry in entered]
            pairs += _pairs(entered, env, groups)
    return Comparison(rows, pairs)


def by_entry(results: Iterable[Result]) -> dict[Entry, list[Result]]:
    """Group results by entry, ordered by protocol and number of demonstrations."""
    groups = grouped(results, lambda result: _entry_of(result.cell))
    return dict(sorted(groups.items(), key=lambda item: (PROTOCOLS.index(item[0].protocol), item[0].n_demos or 0)))


def _entry_of(cell: Cell) -> Entry:
    method = cell.method
    return Entry(cell.protocol, cell.n_demos, method.name, cell.variation, method.control == FROZEN)


def tracks(entries: Iterable[Entry]) -> list[tuple[str, int | None]]:
    """Return the distinct tracks in the order of the entries."""
    return list(dict.fromkeys(entry.track for entry in entries))


def scores_of(results: Sequence[Result], value: Callable[[Result], float | None], env: str = ALL) -> Scores:
    """Return one number per finished run, by environment; runs without that number are left out."""
    chosen = [result for result in results if env in (ALL, result.cell.env)]
    scored = [result for result in chosen if result.status == DONE and value(result) is not None]
    by_task = grouped(scored, lambda result: result.cell.env)
    failed = sum(result.status == FAILED for result in chosen)
    return Scores({task: np.array([value(result) for result in group]) for task, group in by_task.items()}, failed)


def _row(entry: Entry, env: str, results: list[Result], rng: np.random.Generator, n_resamples: int) -> Row:
    def estimate(value: Callable[[Result], float | None]) -> Estimate | None:
        scores = scores_of(results, value, env)
        return interquartile_mean(scores, rng, n_resamples=n_resamples) if scores.runs else None

    statuses = [result.status for result in results if env in (ALL, result.cell.env)]
    return Row(
        entry,
        env,
        final=None if env == ALL else estimate(lambda result: result.mean_return),
        normalized=estimate(lambda result: result.normalized),
        area=estimate(lambda result: result.normalized_area),
        runs=statuses.count(DONE),
        failed=statuses.count(FAILED),
        missing=statuses.count(MISSING),
    )


def _pairs(entered: list[Entry], env: str, groups: dict[Entry, list[Result]]) -> list[PairwiseComparison]:
    """Compare all pairs that share an environment. Only the order of returns matters, so they need no common scale."""
    scores = {entry: scores_of(groups[entry], lambda result: result.mean_return, env) for entry in entered}
    return [
        PairwiseComparison(first, second, env, probability_of_improvement(scores[first], scores[second]))
        for first, second in combinations(entered, 2)
        if scores[first].by_task.keys() & scores[second].by_task.keys()
    ]
