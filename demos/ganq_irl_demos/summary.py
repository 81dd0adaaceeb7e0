"""Summarize demonstrations as JSON values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ganq_irl.spaces import space_to_json
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.trajectories import named_spaces

MAX_DIMENSIONS = 64
"""Maximum number of dimensions with separate ranges; images and longer vectors get one range."""


def describe(demos: Demonstrations) -> dict[str, Any]:
    """Describe demonstrations with JSON values.

    Returns:
        ``source env_id checksum episodes transitions terminated truncated horizon`` (the longest episode), ``lengths``,
        ``returns`` and ``ranks`` (``mean std min max``, or None), ``fields`` (for observations and actions ``dtype shape min
        max``, and ``counts`` of discrete actions), the spaces, what is ``missing``, and the provenance. Ranges are over
        finite values, ``counts`` over values that occur.

    Example:
        >>> summary = describe(demos)
        >>> summary["episodes"], summary["transitions"], summary["returns"]["mean"]
        (2, 1000, 500.0)
    """
    arrays = demos.arrays
    lengths = arrays["lengths"]
    names = [*named_spaces(demos.observation_space), "actions"]
    return {
        "source": demos.source,
        "env_id": demos.env_id,
        "checksum": demos.checksum,
        "episodes": len(demos),
        "transitions": demos.n_transitions,
        "terminated": int(arrays["terminated"].sum()),
        "truncated": int(arrays["truncated"].sum()),
        "horizon": int(lengths.max(initial=0)),
        "lengths": statistics(lengths),
        "returns": statistics(demos.returns),
        "ranks": statistics(demos.ranks),
        "fields": {name: _describe(arrays[name]) for name in names},
        "observation_space": space_to_json(demos.observation_space),
        "action_space": space_to_json(demos.action_space),
        "missing": list(demos.missing),
        "provenance": demos.provenance,
    }


def statistics(values: np.ndarray | None) -> dict[str, float | None] | None:
    """Return mean, population standard deviation and range; None if there are no values."""
    if values is None or not values.size:
        return None
    found = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def spread(found: dict[str, Any] | None) -> str:
    """Return ``statistics`` in words."""
    return "not recorded" if found is None else "{mean:.4g} ± {std:.3g} ({min:.4g} to {max:.4g})".format(**found)


def _describe(array: np.ndarray) -> dict[str, Any]:
    rows = array.reshape(len(array), int(np.prod(array.shape[1:])))
    if array.ndim > 2 or rows.shape[1] > MAX_DIMENSIONS:
        rows = rows.reshape(-1, 1)
    description: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape[1:])}
    description["min"], description["max"] = _extremes(rows, np.min), _extremes(rows, np.max)
    if array.dtype.kind in "iu" and array.ndim == 1:
        values, counts = np.unique(array, return_counts=True)
        description["counts"] = {str(value): int(count) for value, count in zip(values, counts, strict=True)}
    return description


def _extremes(rows: np.ndarray, reduce: Callable[[np.ndarray], Any]) -> list[float | None]:
    """Return the smallest or largest finite value of each column, or None."""
    columns = [column[np.isfinite(column)] for column in rows.T]
    return [float(reduce(column)) if column.size else None for column in columns]
