"""Classify the boundary between consecutive rows of a table: a step, the end of an episode, a gap or a contradiction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

Block = dict[str, np.ndarray]
"""Field (``observations``, or ``observations.<key>``, ...) -> rows."""

BLOCK_ROWS = 1 << 14
"""Rows that are read, written or put in order at a time."""

FLAGS = ("terminated", "truncated", "dones")
CLOCKS = ("step", "timestamp")

TOLERANCE = 1e-5
"""Relative difference between a next observation and the following observation that rounding may cause."""

LONGEST = 1.5
"""A larger difference of a clock, in typical differences, means that rows are missing."""


@dataclass(frozen=True)
class Rules:
    """Rules for cutting a table into episodes, found in a pass over the whole table.

    Attributes:
        usual: clock -> its typical difference between consecutive rows; a longer one is a gap.
        limit: number of steps after which an episode ends if no column marks ends.
    """

    usual: Mapping[str, float] = field(default_factory=dict)
    limit: int | None = None


def rows_in(block: Block) -> int:
    """Return the number of rows."""
    return len(next(iter(block.values())))


def boundary_fields(block: Block, before: Block | None) -> Block:
    """Return the fields that show where episodes end, preceded by the last row of the block ``before``, if any."""
    told = {name: array for name, array in block.items() if name not in ("actions", "rewards", "rank")}
    if not next_names(block):
        told = {name: array for name, array in told.items() if name in (*FLAGS, *CLOCKS, "episode")} or told
    return told if before is None else {name: np.concatenate([before[name], array]) for name, array in told.items()}


def last_row(block: Block) -> Block:
    """Return the last row of a block."""
    return {name: array[-1:] for name, array in block.items()}


def next_names(block: Iterable[str]) -> list[str]:
    """Return the fields that hold next observations."""
    return [name for name in block if name.partition(".")[0] == "next_observations"]


def has_order(fields: Iterable[str]) -> bool:
    """Return whether any field tells which row follows which; without one, rows may come from anywhere, in any order."""
    return bool({*FLAGS, "episode", "step"}.intersection(fields) or next_names(fields))


def flagged(block: Block) -> np.ndarray:
    """Return ``(rows,)`` bool: whether a flag marks the row as the end of its episode."""
    flags = np.zeros(rows_in(block), bool)
    for name in FLAGS:
        if name in block:
            flags |= block[name].astype(bool)
    return flags


def marked_ends(block: Block) -> np.ndarray:
    """Return ``(rows - 1,)`` bool: whether a column shows that an episode ends between a row and the next.

    This is a change of the episode column. Without that column, it is a flag, or a step that does not increase.
    """
    if "episode" in block:
        return block["episode"][1:] != block["episode"][:-1]
    ends = flagged(block)[:-1]
    return ends | (np.diff(block["step"]) <= 0) if "step" in block else ends


def contradictions(block: Block) -> np.ndarray:
    """Return ``(rows - 1,)`` bool: whether a row's next observation differs from the next row's (NaN equals NaN)."""
    apart = np.zeros(rows_in(block) - 1, bool)
    for name in next_names(block):
        apart |= ~same_rows(block[name][:-1], block[name.removeprefix("next_")][1:])
    return apart


def same_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return ``(rows,)`` bool: whether rows are equal up to rounding."""
    axes = tuple(range(1, one.ndim))
    equal = (one == other).all(axis=axes)
    if equal.all() or "f" not in one.dtype.kind + other.dtype.kind:
        return equal
    doubtful = np.flatnonzero(~equal)
    close = np.isclose(one[doubtful], other[doubtful], rtol=TOLERANCE, atol=TOLERANCE**2, equal_nan=True)
    equal[doubtful] = close.all(axis=axes)
    return equal


def gaps(block: Block, usual: Mapping[str, float]) -> np.ndarray:
    """Return ``(rows - 1,)`` bool: whether a clock shows that rows are missing between a row and the next."""
    missing = np.zeros(rows_in(block) - 1, bool)
    for name, difference in usual.items():
        passed = np.diff(block[name].astype(np.float64))
        missing |= ~((passed > 0) & (passed <= LONGEST * difference))
    return missing


def usual_differences(block: Block) -> dict[str, float]:
    """Return each clock's typical difference between consecutive rows; irregular clocks are left out."""
    inside = ~marked_ends(block)
    usual = {}
    for name in CLOCKS:
        passed = np.sort(np.diff(block[name].astype(np.float64))[inside]) if name in block else np.zeros(0)
        middle = passed[(len(passed) - 1) // 2] if len(passed) else 0.0
        if middle > 0 and np.mean(np.abs(passed - middle) < middle / 2) >= 1 / 2:
            usual[name] = float(middle)
    return usual


def number(value: np.generic) -> str:
    """Format a step or an episode for a message; tables of text store 5 as 5.0."""
    return f"{value.item():.12g}"
