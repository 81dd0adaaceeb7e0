"""Rules on numbers, each over all trajectories in one vectorised pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from ganq_irl_demos.findings import Finding, Severity

OUTLIER_RATIO = 1e6
"""A value this many times larger than is usual in its dimension cannot be meant."""

OUTLIER_LIMIT = 1e15
"""A value larger than this cannot be meant."""

SMALLEST_SCALE = 1e-3
"""The usual size of values is never taken to be less, so that numerical noise around zero makes no outliers."""

TOLERANCE = 1e-6
"""How far outside a bound still counts as rounding, relative to the range."""


@dataclass(frozen=True)
class Rows:
    """One field of several trajectories, end to end.

    Attributes:
        values: ``(rows, dimensions)``.
        starts: first row of each trajectory, ``(n_trajectories,)``.
        trajectories: their indices in the set, ``(n_trajectories,)``.
        field: name of the field.
    """

    values: np.ndarray
    starts: np.ndarray
    trajectories: np.ndarray
    field: str

    @staticmethod
    def of(arrays: Mapping[int, np.ndarray], field: str) -> Rows:
        """Join the arrays of trajectories, given by index."""
        joined = np.concatenate(list(arrays.values()))
        lengths = np.array([len(array) for array in arrays.values()])
        values = joined.reshape(len(joined), int(np.prod(joined.shape[1:])))
        return Rows(values, np.cumsum(lengths) - lengths, np.array(list(arrays)), field)

    def where(self, broken: np.ndarray) -> Iterator[tuple[int, int, int, int, int]]:
        """First place of each trajectory in a ``(rows, dimensions)`` mask.

        Yields:
            trajectory, step, row, dimension, and how many values of the trajectory are marked.
        """
        rows, dimensions = np.nonzero(broken)
        owners = np.searchsorted(self.starts, rows, side="right") - 1
        for owner, first, count in zip(*np.unique(owners, return_index=True, return_counts=True), strict=True):
            row = int(rows[first])
            yield int(self.trajectories[owner]), row - int(self.starts[owner]), row, int(dimensions[first]), int(count)

    def findings(self, broken: np.ndarray, severity: Severity, rule: str, expected: str) -> Iterator[Finding]:
        """A finding for each trajectory with a mark in the mask: the first value marked, and ``expected``."""
        if not broken.any():
            return
        for trajectory, step, row, dimension, count in self.where(broken):
            place = f" in dimension {dimension}" if self.values.shape[1] > 1 else ""
            more = f" (and {count - 1} more in this trajectory)" if count > 1 else ""
            given = f"{self.values[row, dimension]!s}{place}{more}"
            yield Finding(severity, trajectory, step, self.field, rule, f"{given}; {expected}")


def check_observations(rows: Rows, space: spaces.Space) -> Iterator[Finding]:
    """NaN, outliers, values outside the space (a warning for Box), dimensions that never change."""
    yield from _check_field(rows, space, "warning", "was it recorded in another environment, or with a wrapper?")


def check_actions(rows: Rows, space: spaces.Space) -> Iterator[Finding]:
    """NaN, outliers, values outside the space, dimensions that never change."""
    yield from _check_field(rows, space, "error", "record actions as executed, that is clipped")


def check_rewards(rows: Rows) -> Iterator[Finding]:
    """NaN and outliers."""
    yield from _check_numbers(rows)


def _check_field(rows: Rows, space: spaces.Space, outside_box: Severity, advice: str) -> Iterator[Finding]:
    yield from _check_numbers(rows)
    if isinstance(space, spaces.Box):
        yield from _check_box(rows, space, outside_box, advice)
    elif rows.values.dtype.kind != "b":
        yield from _check_counts(rows, space)
    yield from _check_constant(rows)


def _check_numbers(rows: Rows) -> Iterator[Finding]:
    if rows.values.dtype.kind != "f":
        return
    finite = np.isfinite(rows.values)
    expected = "expected a finite number; leave this trajectory out, or record it again"
    yield from rows.findings(~finite, "error", "non-finite", expected)
    yield from _check_outliers(rows, finite)


def _check_outliers(rows: Rows, finite: np.ndarray) -> Iterator[Finding]:
    sizes = np.abs(np.where(finite, rows.values, 0))
    suspects = np.flatnonzero(sizes.max(axis=0, initial=0) > OUTLIER_RATIO * SMALLEST_SCALE)
    if not suspects.size:
        return  # the usual case, without a median
    typical = max(_median(sizes[sizes > 0]), SMALLEST_SCALE)
    limits = np.full(sizes.shape[1], np.inf)
    for dimension in suspects:
        scale = max(float(np.median(sizes[:, dimension])), typical)
        limits[dimension] = min(OUTLIER_RATIO * scale, OUTLIER_LIMIT)
    expected = f"far from what is usual here (sizes around {typical:.3g}); leave the trajectory out, or record it again"
    yield from rows.findings(sizes > limits, "error", "outlier", expected)


def _check_counts(rows: Rows, space: spaces.Space) -> Iterator[Finding]:
    """Discrete, MultiDiscrete and MultiBinary values; the space has at least one value in each dimension."""
    low, high = _count_bounds(space)
    lows, highs = (np.broadcast_to(bound, rows.values.shape[1:]) for bound in (low, high))
    expected = f"expected {_range(lows, highs)} as in {space}; are actions counted from another number?"
    yield from rows.findings((rows.values < lows) | (rows.values > highs), "error", "outside-space", expected)


def _check_constant(rows: Rows) -> Iterator[Finding]:
    if len(rows.values) < 2 or rows.values.dtype == np.uint8:  # a black border of an image is no surprise
        return
    constant = np.flatnonzero((rows.values == rows.values[0]).all(axis=0))
    if constant.size:
        listed = ", ".join(str(dimension) for dimension in constant[:8]) + (", ..." if constant.size > 8 else "")
        which = f"dimension {listed} is" if rows.values.shape[1] > 1 else "it is"
        message = f"{which} the same in every row, so nothing can be learned from it; is it meant to be?"
        yield Finding("warning", None, None, rows.field, "constant", message)


def _check_box(rows: Rows, space: spaces.Box, severity: Severity, advice: str) -> Iterator[Finding]:
    low, high = _widened(space)
    smallest, largest = (bound.reduce(rows.values, axis=0) for bound in (np.fmin, np.fmax))  # these ignore NaN
    if (smallest >= low).all() and (largest <= high).all():
        return  # the usual case, without a mask as large as the data
    outside = np.isfinite(rows.values) & ((rows.values < low) | (rows.values > high))
    expected = f"expected {_range(space.low, space.high)} as in {space}; {advice}"
    yield from rows.findings(outside, severity, "outside-space", expected)


def _widened(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds, ``(dimensions,)``, moved outwards by the tolerance."""
    low, high = (bound.reshape(-1).astype(np.float64) for bound in (space.low, space.high))
    extent = np.where(np.isfinite(high) & np.isfinite(low), high - low, np.maximum(1, np.abs(_finite(low, high))))
    return low - TOLERANCE * extent, high + TOLERANCE * extent


def _finite(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whichever bound is finite, else 0."""
    return np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0))


def _count_bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(space, spaces.Discrete):
        return np.array(space.start), np.array(space.start + space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        start = np.asarray(getattr(space, "start", 0))  # newer releases of Gymnasium only
        return np.broadcast_to(start, space.nvec.shape).reshape(-1), (start + space.nvec - 1).reshape(-1)
    assert isinstance(space, spaces.MultiBinary)
    return np.array(0), np.array(1)


def _range(lows: np.ndarray, highs: np.ndarray) -> str:
    return f"{lows.min()} to {highs.max()}"


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0
