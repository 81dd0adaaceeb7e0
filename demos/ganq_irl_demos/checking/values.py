"""Rules about values. One pass computes ranges; a second pass runs only if a range breaks a rule."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from ganq_irl_demos.checking.fields import Field
from ganq_irl_demos.checking.findings import Finding, Severity

OUTLIER_RATIO = 1e6
"""A value this many times larger than is typical in its dimension is an error."""

OUTLIER_LIMIT = 1e15
"""A value larger than this is an error."""

SMALLEST_SCALE = 1e-3
"""Lower bound on the typical magnitude, so that numerical noise around zero does not count as outliers."""

TOLERANCE = 1e-6
"""Distance outside a bound that still counts as rounding, relative to the range."""


def check_observations(field: Field, space: spaces.Space) -> Iterator[Finding]:
    """Check for NaN, outliers, values outside the space (a warning for Box) and constant dimensions."""
    yield from _check_field(field, space, "warning", "was it recorded in another environment, or with a wrapper?")


def check_actions(field: Field, space: spaces.Space) -> Iterator[Finding]:
    """Check for NaN, outliers, values outside the space and constant dimensions."""
    yield from _check_field(field, space, "error", "record actions as executed, i.e. clipped")


def check_rewards(field: Field) -> Iterator[Finding]:
    """Check for NaN and outliers. They are warnings, since no algorithm learns from these rewards."""
    yield from _check_numbers(field, "warning")


def _check_field(field: Field, space: spaces.Space, outside_box: Severity, advice: str) -> Iterator[Finding]:
    if field.array.shape[1:] != space.shape:
        given = f"shape of one step is {field.array.shape[1:]}, expected {space.shape} as in {space}"
        yield Finding("error", None, None, field.name, "shape", f"{given}; was it made in another environment?")
        return
    yield from _check_numbers(field)
    if field.dtype.kind == "f" and np.dtype(space.dtype).kind != "f":
        yield from _check_whole(field, space)
    if isinstance(space, spaces.Box):
        expected = f"expected {_range(space.low, space.high)} as in {space}; {advice}"
        yield from _check_bounds(field, *_widened(space), outside_box, expected)
    elif field.dtype.kind != "b":
        yield from _check_counts(field, space)
    yield from _check_constant(field)


def _check_whole(field: Field, space: spaces.Space) -> Iterator[Finding]:
    def broken(block: np.ndarray) -> np.ndarray:
        return np.isfinite(block) & (block != np.rint(block))

    yield from field.findings(broken, "error", "dtype", f"expected integers for {space}; was it made for another space?")


def _check_numbers(field: Field, severity: Severity = "error") -> Iterator[Finding]:
    if field.dtype.kind != "f":
        return
    expected = "expected a finite number; leave this trajectory out, or record it again"
    if not field.ranges.finite:
        yield from field.findings(lambda block: ~np.isfinite(block), severity, "non-finite", expected)
    yield from _check_outliers(field, severity)


def _check_outliers(field: Field, severity: Severity) -> Iterator[Finding]:
    largest = np.fmax(np.abs(field.ranges.low), np.abs(field.ranges.high))
    suspects = np.flatnonzero(largest > OUTLIER_RATIO * SMALLEST_SCALE)
    if not suspects.size:
        return  # the usual case, without a median
    sample = field.sample()
    sizes = np.abs(np.where(np.isfinite(sample), sample, 0))
    typical = max(_median(sizes[sizes > 0]), SMALLEST_SCALE)
    limits = np.full(sizes.shape[1], np.inf)
    for dimension in suspects:
        scale = max(float(np.median(sizes[:, dimension])), typical)
        limits[dimension] = min(OUTLIER_RATIO * scale, OUTLIER_LIMIT)
    if not (largest > limits).any():
        return

    def broken(block: np.ndarray) -> np.ndarray:
        return np.isfinite(block) & (np.abs(block) > limits)

    expected = f"far from the typical values (around {typical:.3g}); leave the trajectory out, or record it again"
    yield from field.findings(broken, severity, "outlier", expected)


def _check_counts(field: Field, space: spaces.Space) -> Iterator[Finding]:
    """Check Discrete, MultiDiscrete and MultiBinary values; the space has at least one value in each dimension."""
    low, high = _count_bounds(space)
    lows, highs = (np.broadcast_to(bound, (field.dimensions,)) for bound in (low, high))
    expected = f"expected {_range(lows, highs)} as in {space}; do actions start from another number?"
    yield from _check_bounds(field, lows, highs, "error", expected)


def _check_constant(field: Field) -> Iterator[Finding]:
    if len(field) < 2 or field.dtype == np.uint8:  # images often have black borders
        return
    constant = np.flatnonzero(field.ranges.constant)
    if constant.size:
        listed = ", ".join(str(dimension) for dimension in constant[:8]) + (", ..." if constant.size > 8 else "")
        which = f"dimension {listed} is" if field.dimensions > 1 else "it is"
        message = f"{which} the same in every row, so nothing can be learned from it; is that intended?"
        yield Finding("warning", None, None, field.name, "constant", message)


def _check_bounds(field: Field, low: np.ndarray, high: np.ndarray, severity: Severity, expected: str) -> Iterator[Finding]:
    if not ((field.ranges.low < low) | (field.ranges.high > high)).any():
        return  # the usual case, without a second pass

    def broken(block: np.ndarray) -> np.ndarray:
        return np.isfinite(block) & ((block < low) | (block > high))

    yield from field.findings(broken, severity, "outside-space", expected)


def _widened(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper bounds, ``(dimensions,)``, widened by the tolerance."""
    low, high = (bound.reshape(-1).astype(np.float64) for bound in (space.low, space.high))
    extent = np.where(np.isfinite(high) & np.isfinite(low), high - low, np.maximum(1, np.abs(_finite(low, high))))
    return low - TOLERANCE * extent, high + TOLERANCE * extent


def _finite(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the lower bound if finite, else the upper one if finite, else 0."""
    return np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0))


def _count_bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(space, spaces.Discrete):
        return np.array(space.start), np.array(space.start + space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        start = np.asarray(getattr(space, "start", 0))  # only in newer releases of Gymnasium
        return np.broadcast_to(start, space.nvec.shape).reshape(-1), (start + space.nvec - 1).reshape(-1)
    assert isinstance(space, spaces.MultiBinary)
    return np.array(0), np.array(1)


def _range(lows: np.ndarray, highs: np.ndarray) -> str:
    return f"{lows.min()} to {highs.max()}"


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0
