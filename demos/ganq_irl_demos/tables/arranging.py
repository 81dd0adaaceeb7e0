"""Sort the rows of a table, and find contradictions between them.

All readers of tables use this module, so that no format produces transitions that never happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.columns import joined
from ganq_irl_demos.tables.boundaries import (
    BLOCK_ROWS,
    Block,
    Rules,
    has_order,
    next_names,
    number,
    rows_in,
    usual_differences,
)
from ganq_irl_demos.tables.survey import survey

Blocks = Callable[[], Iterator[Block]]


@dataclass(frozen=True)
class Arranged:
    """A table whose rows are in order.

    Attributes:
        blocks: returns an iterator over the rows.
        rules: rules for cutting the rows into episodes.
        remarks: sentences about corrections and contradictions.
    """

    blocks: Blocks
    rules: Rules
    remarks: tuple[str, ...] = ()


def arrange(blocks: Blocks, horizon: int | None, source: str, *, noted: bool = False) -> Arranged:
    """Scan a table once, and sort its rows if an episode column and a step column require it.

    Args:
        blocks: returns an iterator over sound blocks, at least one.
        horizon: time limit of the environment, if known.
        source: name for error messages.
        noted: whether ganq-irl wrote the table and stored the ends of its episodes in a note.

    Raises:
        DemoFormatError: columns contradict each other, so that the order of rows is unknown.
    """
    first = next(blocks())
    fields = set(first)
    if not has_order(fields):
        return Arranged(blocks, Rules())
    silent = "terminated" in fields and not fields & {"truncated", "dones", "episode", "step"} and not next_names(first)
    limit = horizon if silent else None
    rules = Rules(usual_differences(first), limit)
    found = survey(blocks(), rules, source)
    remarks = []
    if found.out_of_order is not None:
        order = _order(blocks(), source)
        arranged = _in_order(blocks, order, source)
        rules = Rules(usual_differences(next(arranged())), limit)
        how = "episode and step" if "step" in fields else "episode"
        remarks = [f"rows were sorted by {how} (row {found.out_of_order} was the first out of order)"]
        blocks, found = arranged, survey(arranged(), rules, source)
    if silent and not noted:
        remarks += [_unmarked_limits(horizon)]
    return Arranged(blocks, rules, (*remarks, *found.remarks(noted=noted)))


def _unmarked_limits(horizon: int | None) -> str:
    if horizon is not None:
        return (
            f"no column marks where a time limit ended an episode, so episodes were cut after {horizon} steps, the "
            "environment's limit"
        )
    return (
        "no column marks where a time limit ended an episode, so several may have been merged; name the environment with "
        "--env ID to apply its limit"
    )


def _order(blocks: Iterator[Block], source: str) -> np.ndarray:
    """Return the indices that sort the rows, ``(rows,)``: by episode in order of appearance, then by step.

    Raises:
        DemoFormatError: a step occurs twice, or interleaved episodes have no step column.
    """
    keys: dict[str, list[np.ndarray]] = {"episode": [], "step": []}
    has_next = False
    for block in blocks:
        has_next = has_next or bool(next_names(block))
        for name in keys:
            if name in block:
                keys[name].append(block[name])
    episodes = np.concatenate(keys["episode"])
    _, firsts, numbers = np.unique(episodes, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(firsts))[numbers.reshape(-1)]
    if not keys["step"]:
        if not has_next:
            again = int(np.flatnonzero(np.diff(rank) < 0)[0]) + 1
            raise DemoFormatError(
                f"{source}: row {again} continues episode {number(episodes[again])} after another episode, and no column "
                "tells the order of the rows; name the column that counts steps with --columns step=NAME, or give each "
                "episode a number of its own"
            )
        return np.argsort(rank, kind="stable")
    steps = np.concatenate(keys["step"])
    order = np.lexsort((steps, rank))
    twice = np.flatnonzero((np.diff(rank[order]) == 0) & (np.diff(steps[order]) == 0))
    if len(twice):
        row, other = sorted(order[twice[0] : twice[0] + 2].tolist())
        raise DemoFormatError(
            f"{source}: rows {row} and {other} are both step {number(steps[row])} of episode {number(episodes[row])}; keep "
            "one of them, or give each episode a number of its own"
        )
    return order


def _in_order(blocks: Blocks, order: np.ndarray, source: str) -> Blocks:
    """Return the rows of a table in another order, through temporary files, since it may be larger than memory."""

    def arranged() -> Iterator[Block]:
        table = joined(blocks(), source)
        for start in range(0, rows_in(table), BLOCK_ROWS):
            yield {name: array[order[start : start + BLOCK_ROWS]] for name, array in table.items()}

    return arranged
