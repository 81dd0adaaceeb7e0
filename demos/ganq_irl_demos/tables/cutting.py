"""Cut rows of transitions into trajectories, block by block; an episode may span any number of blocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.tables.boundaries import (
    CLOCKS,
    FLAGS,
    Block,
    Rules,
    boundary_fields,
    contradictions,
    gaps,
    last_row,
    marked_ends,
    next_names,
    rows_in,
)
from ganq_irl_demos.trajectories import Observations, Trajectory, observations_of

_NEEDED = (*FLAGS, "episode", *CLOCKS)
"""Fields with one number per row and no missing values."""

_ONE_EACH = ("rewards", "rank", *_NEEDED)


def sound_blocks(blocks: Iterator[Block], source: str) -> Iterator[Block]:
    """Yield the blocks of a table after checking that its fields have one row per transition and a constant shape.

    Raises:
        DemoFormatError: they do not.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    first_row = 0
    for block in blocks:
        if any(array.ndim == 0 for array in block.values()) or len({len(array) for array in block.values()}) != 1:
            raise DemoFormatError(f"{source}: fields differ in length; expected one row per transition")
        for name in set(_ONE_EACH) & set(block):
            if block[name].size != len(block[name]):
                raise DemoFormatError(f"{source}: {name} of shape {block[name].shape[1:]}, expected one number per row")
            block[name] = block[name].reshape(-1)
        for name in [name for name in _NEEDED if name in block]:
            block[name] = _complete(block[name], name, source, first_row)
        first_row += rows_in(block)
        found = {name: array.shape[1:] for name, array in block.items()}
        shapes = shapes or found
        observed = {name: shape for name, shape in found.items() if name.partition(".")[0] == "observations"}
        following = {
            name.removeprefix("next_"): shape for name, shape in found.items() if name.startswith("next_observations")
        }
        if found != shapes or (following and following != observed):
            odd = sorted(name for name in {*found, *shapes} if found.get(name) != shapes.get(name)) or sorted(following)
            raise DemoFormatError(
                f"{source}: {', '.join(odd)}: shapes differ from those in other rows, or of the observations before them"
            )
        yield block


def _complete(column: np.ndarray, name: str, source: str, first_row: int) -> np.ndarray:
    """Return a column after checking that no value is missing; integers become signed, so that differences are correct."""
    if column.dtype.kind == "f" and (missing := np.flatnonzero(np.isnan(column))).size:
        raise DemoFormatError(
            f"{source}: {name} in row {first_row + int(missing[0])} is missing ({missing.size} such rows in this block); "
            "fill it in, or leave the column out"
        )
    return column.astype(np.int64) if column.dtype.kind in "iu" else column


def cut(
    blocks: Iterator[Block], horizon: int | None, *, ordered: bool = True, rules: Rules | None = None
) -> Iterator[Trajectory]:
    """Yield trajectories of consecutive rows.

    An episode ends where ``episode`` changes. Without that column, it ends where a row is ``terminated``, ``truncated`` or
    ``dones``, or where the steps start again. It is also cut where rows are missing, and where a row's next observation is
    not the observation of the next row. Without next observations, the last step of an episode is dropped, since its outcome
    is unknown.

    Args:
        blocks: consecutive rows.
        horizon: time limit. An episode of that length was truncated if its end is marked only by ``dones``, or not at all.
        rules: rules for the whole table, if it was scanned before.
        ordered: False if rows are in no known order: they become one trajectory whose last observation is padding.
    """
    rules = rules or Rules()
    pieces: list[Block] = []
    before: Block | None = None
    age = 0  # rows of the current episode so far
    for block in blocks:
        starts, age = _limited(_starts(block, before, rules), age, rules.limit)
        bounds = [0, *np.flatnonzero(starts[1:]) + 1, len(starts)]
        for start, stop in itertools.pairwise(bounds):
            if start == stop:
                continue
            if starts[start] and pieces:
                yield from _trajectories(pieces, horizon, ordered)
                pieces = []
            pieces.append({name: array[start:stop] for name, array in block.items()})
        before = last_row(block) if len(starts) else before
    if pieces:
        yield from _trajectories(pieces, horizon, ordered)


def _starts(block: Block, before: Block | None, rules: Rules) -> np.ndarray:
    """Return ``(rows,)`` bool: whether a row starts an episode, except for the very first row."""
    fresh = np.zeros(rows_in(block), bool)
    if fresh.size:
        told = boundary_fields(block, before)
        fresh[0 if before is not None else 1 :] = marked_ends(told) | contradictions(told) | gaps(told, rules.usual)
    return fresh


def _limited(starts: np.ndarray, age: int, limit: int | None) -> tuple[np.ndarray, int]:
    """Add the starts of episodes that a time limit causes; return the starts and the length so far of the last episode."""
    rows = np.arange(len(starts))
    ages = rows - np.maximum.accumulate(np.where(starts, rows, -age))
    if limit is not None:
        starts = starts | ((ages > 0) & (ages % limit == 0))
    return starts, int(ages[-1]) + 1 if len(ages) else age


def _trajectories(pieces: list[Block], horizon: int | None, ordered: bool) -> Iterator[Trajectory]:
    block = pieces[0] if len(pieces) == 1 else {n: np.concatenate([piece[n] for piece in pieces]) for n in pieces[0]}
    steps, whole = rows_in(block), bool(next_names(block))
    terminated, truncated = _end(block, horizon)
    if not whole and ordered:  # the observation after the last action is unknown, so that action is dropped
        steps, terminated, truncated = steps - 1, False, True
    if not steps:
        return
    rewards = block["rewards"][:steps].reshape(steps) if "rewards" in block else None
    absent = rewards is not None and rewards.dtype.kind == "f" and np.isnan(rewards).all()
    yield Trajectory(
        observations=_observations(block, whole, ordered),
        actions=block["actions"][:steps] if "actions" in block else np.zeros((steps, 0), np.float32),
        rewards=None if absent else rewards,
        terminated=terminated,
        truncated=truncated,
        rank=_rank(block["rank"]) if "rank" in block else None,
    )


def _rank(column: np.ndarray) -> float | None:
    """Return the one rank of an episode, or None where it is missing.

    Raises:
        DemoFormatError: its rows have several.
    """
    found = np.unique(column.astype(np.float64))
    if len(found) > 1:
        raise DemoFormatError(
            f"the column rank goes from {found[0]:g} to {found[-1]:g} within an episode; give all rows of an episode one "
            "rank, or rename the column if it holds something else"
        )
    return None if np.isnan(found[0]) else float(found[0])


def _end(block: Block, horizon: int | None) -> tuple[bool, bool]:
    """Return whether an episode was terminated or truncated, according to its last row."""
    flags = {name: bool(block[name][-1].any()) for name in ("terminated", "truncated", "dones") if name in block}
    at_limit = rows_in(block) == horizon
    if "terminated" in flags:
        truncated = flags.get("truncated", False) or ("truncated" not in flags and not flags["terminated"] and at_limit)
        return flags["terminated"], truncated
    if "dones" in flags:
        truncated = flags.get("truncated", at_limit)
        return flags["dones"] and not truncated, truncated
    return False, flags.get("truncated", at_limit)


def _observations(block: Block, whole: bool, ordered: bool) -> Observations:
    """Return ``(T + 1, ...)``: the rows, and the last row's next observation (padding if the order is unknown)."""
    arrays = {name: array for name, array in block.items() if name.partition(".")[0] == "observations"}
    if whole:
        arrays = {name: np.concatenate([array, block[f"next_{name}"][-1:]]) for name, array in arrays.items()}
    elif not ordered:
        arrays = {name: np.concatenate([array, array[-1:]]) for name, array in arrays.items()}
    return observations_of(arrays)
