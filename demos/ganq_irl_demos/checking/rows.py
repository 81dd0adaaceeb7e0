"""One field of many trajectories, gone through a block at a time, so that a check needs no more memory than that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganq_irl_demos.checking.findings import Finding, Severity

BLOCK_BYTES = 16 << 20
"""Values looked at together, in bytes."""

SAMPLE = 200_000
"""Rows that quantiles are taken of, evenly spread; of no more rows than that, all of them."""


@dataclass(frozen=True)
class Ranges:
    """What one pass over the rows tells.

    Attributes:
        finite: whether every value is.
        low: smallest finite value of each dimension, ``(dimensions,)``; NaN where there is none.
        high: largest.
        constant: whether a dimension is the same in every row, ``(dimensions,)``.
    """

    finite: bool
    low: np.ndarray
    high: np.ndarray
    constant: np.ndarray


@dataclass(frozen=True)
class Rows:
    """One field of several trajectories, end to end, though never joined.

    Attributes:
        parts: its array in each trajectory, ``(steps, ...)``.
        trajectories: their indices in the set, ``(n_trajectories,)``.
        field: name of the field.
        dtype: common one.
        dimensions: numbers in a row.
    """

    parts: tuple[np.ndarray, ...]
    trajectories: np.ndarray
    field: str
    dtype: np.dtype
    dimensions: int

    @staticmethod
    def of(arrays: Mapping[int, np.ndarray], field: str) -> Rows:
        """The arrays of trajectories, given by index; at least one, and all of one shape of row."""
        parts = tuple(arrays.values())
        dtype = np.result_type(*{part.dtype for part in parts})
        return Rows(parts, np.array(list(arrays)), field, dtype, int(np.prod(parts[0].shape[1:])))

    def __len__(self) -> int:
        """Rows in all."""
        return int(self._ends[-1])

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(part) for part in self.parts])

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Consecutive blocks as ``(rows, dimensions)``, each with the number of its first row."""
        most = max(1, BLOCK_BYTES // max(1, self.dimensions * self.dtype.itemsize))
        pending: list[np.ndarray] = []
        rows = first = 0
        for part in self.parts:
            for start in range(0, len(part), most):
                piece = part[start : start + most]
                if rows + len(piece) > most and pending:
                    yield first, self._joined(pending)
                    pending, rows, first = [], 0, first + rows
                pending.append(piece)
                rows += len(piece)
        if pending:
            yield first, self._joined(pending)

    def _joined(self, pieces: list[np.ndarray]) -> np.ndarray:
        joined = np.concatenate(pieces) if len(pieces) > 1 else np.asarray(pieces[0])
        return joined.reshape(len(joined), self.dimensions)

    def sample(self, most: int | None = None) -> np.ndarray:
        """Up to ``most`` rows, evenly spread, ``(rows, dimensions)``; by default up to ``SAMPLE``."""
        every = max(1, -(-len(self) // (most or SAMPLE)))
        return np.concatenate([block[-first % every :: every] for first, block in self.blocks()])

    @cached_property
    def ranges(self) -> Ranges:
        """What one pass over the rows tells."""
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
        """A finding for each trajectory with a marked value: the first one marked, and ``expected``.

        Args:
            broken: from ``(rows, dimensions)`` values to a mask of that shape.
            severity: of the findings.
            rule: likewise.
            expected: end of their messages.
        """
        found: dict[int, tuple[int, int, str, int]] = {}  # owner -> row, dimension, value, how many
        for first, block in self.blocks():
            rows, dimensions = np.nonzero(broken(block))
            owners = np.searchsorted(self._ends, rows + first, side="right")
            for owner, at, count in zip(*np.unique(owners, return_index=True, return_counts=True), strict=True):
                row, dimension = int(rows[at]), int(dimensions[at])
                before = found.get(int(owner), (row + first, dimension, str(block[row, dimension]), 0))
                found[int(owner)] = (*before[:3], before[3] + int(count))
        for owner, (row, dimension, value, count) in sorted(found.items()):
            place = f" in dimension {dimension}" if self.dimensions > 1 else ""
            more = f" (and {count - 1} more in this trajectory)" if count > 1 else ""
            step = row - (int(self._ends[owner - 1]) if owner else 0)
            message = f"{value}{place}{more}; {expected}"
            yield Finding(severity, int(self.trajectories[owner]), step, self.field, rule, message)
