"""One field of all trajectories, processed a block at a time to bound the memory of a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganq_irl_demos.checking.findings import Finding, Severity
from ganq_irl_demos.demonstrations import Demonstrations

BLOCK_BYTES = 16 << 20
"""Size of a block in bytes."""

SAMPLE = 200_000
"""Maximum number of evenly spaced rows for quantiles."""


@dataclass(frozen=True)
class Ranges:
    """Statistics of one pass over the rows.

    Attributes:
        finite: whether all values are finite.
        low: smallest finite value of each dimension, ``(dimensions,)``; NaN if there is none.
        high: largest finite value, likewise.
        constant: whether a dimension has the same value in every row, ``(dimensions,)``.
    """

    finite: bool
    low: np.ndarray
    high: np.ndarray
    constant: np.ndarray


@dataclass(frozen=True)
class Field:
    """A field of all trajectories.

    Attributes:
        name: ``actions``, ``observations.<key>``, ...
        array: ``(rows, ...)``, all trajectories concatenated.
        offsets: first row of each trajectory, then the total number of rows, ``(n_trajectories + 1,)``.
    """

    name: str
    array: np.ndarray
    offsets: np.ndarray

    @staticmethod
    def of(demos: Demonstrations, name: str) -> Field:
        """Return a field of demonstrations by name."""
        return Field(name, demos.arrays[name], demos.episodes.offsets(name))

    def __len__(self) -> int:
        """Rows in all."""
        return len(self.array)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the values."""
        return self.array.dtype

    @property
    def dimensions(self) -> int:
        """Number of values in a row."""
        return int(np.prod(self.array.shape[1:]))

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield consecutive blocks, each as its first row number and values of shape ``(rows, dimensions)``."""
        flat = self.array.reshape(len(self), self.dimensions)
        most = max(1, BLOCK_BYTES // max(1, self.dimensions * self.dtype.itemsize))
        for first in range(0, len(self), most):
            yield first, flat[first : first + most]

    def sample(self, most: int | None = None) -> np.ndarray:
        """Return up to ``most`` evenly spaced rows, ``(rows, dimensions)``; by default up to ``SAMPLE``."""
        every = max(1, -(-len(self) // (most or SAMPLE)))
        return np.concatenate([block[-first % every :: every] for first, block in self.blocks()])

    @cached_property
    def ranges(self) -> Ranges:
        """Compute statistics in one pass over the rows."""
        finite, first_row = True, None
        low, high = np.full(self.dimensions, np.nan), np.full(self.dimensions, np.nan)
        constant = np.ones(self.dimensions, bool)
        for _, block in self.blocks():
            first_row = block[0] if first_row is None else first_row
            constant &= (block == first_row).all(axis=0)
            if block.dtype.kind == "f" and not (is_finite := np.isfinite(block)).all():
                finite, block = False, np.where(is_finite, block, np.nan)
            low, high = np.fmin(low, np.fmin.reduce(block, axis=0)), np.fmax(high, np.fmax.reduce(block, axis=0))
        return Ranges(finite, low, high, constant)

    def findings(
        self, broken: Callable[[np.ndarray], np.ndarray], severity: Severity, rule: str, expected: str
    ) -> Iterator[Finding]:
        """Yield a finding for each trajectory with marked values, at the first one.

        Args:
            broken: maps values ``(rows, dimensions)`` to a mask of the same shape.
            severity: severity of the findings.
            rule: name of the rule.
            expected: end of the messages.
        """
        found: dict[int, tuple[int, int, str, int]] = {}  # trajectory -> row, dimension, value, count
        for first, block in self.blocks():
            rows, dimensions = np.nonzero(broken(block))
            owners = np.searchsorted(self.offsets, rows + first, side="right") - 1
            for owner, at, count in zip(*np.unique(owners, return_index=True, return_counts=True), strict=True):
                row, dimension = int(rows[at]), int(dimensions[at])
                before = found.get(int(owner), (row + first, dimension, str(block[row, dimension]), 0))
                found[int(owner)] = (*before[:3], before[3] + int(count))
        for owner, (row, dimension, value, count) in sorted(found.items()):
            place = f" in dimension {dimension}" if self.dimensions > 1 else ""
            more = f" (and {count - 1} more in this trajectory)" if count > 1 else ""
            message = f"{value}{place}{more}; {expected}"
            yield Finding(severity, owner, row - int(self.offsets[owner]), self.name, rule, message)
