"""Comparisons of segments, from answers, ratings or ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ganq_irl.errors import ConfigurationError
from ganq_irl_demos import Trajectory


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two segments, and which of them is better.

    Attributes:
        left: a segment.
        right: another one.
        answer: one of ``COMPARED``.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> Comparison(left, right, "equal").answer
        'equal'
    """

    left: Trajectory
    right: Trajectory
    answer: str


def compare_rated(rated: Sequence[tuple[Trajectory, str]], n_for_each: int, rng: np.random.Generator) -> list[Comparison]:
    """Draw pairs of segments with different ratings; that of the higher rating is better.

    Only the order of the ratings counts, so it does not matter how strict somebody is.

    Args:
        rated: segments with their ratings, of ``RATED``; skipped ones are left out.
        n_for_each: number of comparisons for each rated segment.
        rng: random generator.

    Returns:
        The comparisons; none if no two ratings differ.

    Example:
        >>> rated = [(demos[0], "2"), (demos[1], "5"), (demos[0], "skipped")]
        >>> len(compare_rated(rated, 3, np.random.default_rng(0)))
        6
    """
    known = [(segment, float(rating)) for segment, rating in rated if rating != "skipped"]
    ratings = [rating for _, rating in known]
    if len(set(ratings)) < 2:
        return []
    draw = [lambda n, segment=segment: [segment] * n for segment, _ in known]
    return compare_ranked(draw, ratings, n_for_each * len(known), rng)


def compare_ranked(
    draw: Sequence[Callable[[int], list[Trajectory]]],
    ranks: Sequence[float],
    n: int,
    rng: np.random.Generator,
    margin: float = 0.0,
) -> list[Comparison]:
    """Draw pairs of ranked groups, and a segment of each; that of the higher rank is better.

    Args:
        draw: for each group, returns that many of its segments.
        ranks: rank of each group; higher is better.
        n: number of comparisons.
        rng: random generator.
        margin: ranks that differ by less are not compared; equal ones never are.

    Raises:
        ConfigurationError: no two groups can be compared.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> rng = np.random.default_rng(0)
        >>> draw = [lambda n, one=one: cut_segments([one], n, 10, rng) for one in demos]
        >>> comparisons = compare_ranked(draw, ranks=[1, 2], n=3, rng=rng)
        >>> len(comparisons), {comparison.answer for comparison in comparisons} <= {"left", "right"}
        (3, True)
    """
    values = np.asarray(ranks, dtype=np.float64)
    gaps = values[:, None] - values
    pairs = np.argwhere((gaps >= margin) & (gaps > 0))  # (n_pairs, 2), better and worse
    if not len(pairs):
        raise ConfigurationError(
            f"nothing can be ranked: {len(values)} ranks from {values.min():g} to {values.max():g}; give demonstrations of "
            "different quality"
        )
    chosen = pairs[rng.integers(len(pairs), size=n)]
    better, worse = (_segments(draw, chosen[:, side]) for side in (0, 1))
    on_left = rng.random(n) < 0.5
    return [
        Comparison(good, bad, "left") if left else Comparison(bad, good, "right")
        for good, bad, left in zip(better, worse, on_left, strict=True)
    ]


def _segments(draw: Sequence[Callable[[int], list[Trajectory]]], groups: np.ndarray) -> list[Trajectory]:
    """Return a segment of each of these groups, in their order."""
    drawn = {group: iter(draw[group](int((groups == group).sum()))) for group in np.unique(groups).tolist()}
    return [next(drawn[group]) for group in groups.tolist()]
