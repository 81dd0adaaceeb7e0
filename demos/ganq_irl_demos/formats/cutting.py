"""Rows of transitions, block after block, cut into trajectories; an episode may span any number of blocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.trajectories import Observations, Trajectory

Block = dict[str, np.ndarray]
"""Field (``observations``, or ``observations.<key>``, ...) -> rows."""


_ONE_EACH = ("rewards", "terminated", "truncated", "dones", "episode")


def sound_blocks(blocks: Iterator[Block], source: str) -> Iterator[Block]:
    """Blocks of one table, each field with a row for each transition and of one shape throughout.

    Raises:
        DemoFormatError: they are not.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for block in blocks:
        if any(array.ndim == 0 for array in block.values()) or len({len(array) for array in block.values()}) != 1:
            raise DemoFormatError(f"{source}: fields differ in length; expected a row for each transition")
        for name in set(_ONE_EACH) & set(block):
            if block[name].size != len(block[name]):
                raise DemoFormatError(f"{source}: {name} of shape {block[name].shape[1:]}, expected a number for each row")
            block[name] = block[name].reshape(-1)
        found = {name: array.shape[1:] for name, array in block.items()}
        shapes = shapes or found
        observed = {name: shape for name, shape in found.items() if name.partition(".")[0] == "observations"}
        following = {
            name.removeprefix("next_"): shape for name, shape in found.items() if name.startswith("next_observations")
        }
        if found != shapes or (following and following != observed):
            odd = sorted(name for name in {*found, *shapes} if found.get(name) != shapes.get(name)) or sorted(following)
            raise DemoFormatError(
                f"{source}: {', '.join(odd)}: of other shapes than in other rows, or than the observations before them"
            )
        yield block


def cut(blocks: Iterator[Block], horizon: int | None, *, ordered: bool = True) -> Iterator[Trajectory]:
    """Trajectories of consecutive rows.

    An episode ends where the number in ``episode`` changes; without that column, where a row is ``terminated``,
    ``truncated`` or ``dones``, or where the next row does not begin at the observation that this one ended with. Where there
    are no next observations, the last step of an episode is left out: nothing tells where it led.

    Args:
        blocks: consecutive rows.
        horizon: time limit; an episode of that length whose end is only known as ``dones``, or not at all, was truncated.
        ordered: False where rows are in no known order: they become one trajectory, and its last observation is padding.
    """
    pieces: list[Block] = []
    before: Block | None = None
    for block in blocks:
        starts = _starts(block, before)
        bounds = [0, *np.flatnonzero(starts[1:]) + 1, len(starts)]
        for start, stop in itertools.pairwise(bounds):
            if start == stop:
                continue
            if starts[start] and pieces:
                yield from _trajectories(pieces, horizon, ordered)
                pieces = []
            pieces.append({name: array[start:stop] for name, array in block.items()})
        before = {name: array[-1:] for name, array in block.items()} if len(starts) else before
    if pieces:
        yield from _trajectories(pieces, horizon, ordered)


def _rows(block: Block) -> int:
    return len(next(iter(block.values())))


def _starts(block: Block, before: Block | None) -> np.ndarray:
    """``(rows,)`` bool: whether a row begins an episode; the very first row of all does not."""
    rows = _rows(block)
    if before is not None:
        block = {name: np.concatenate([before[name], array]) for name, array in block.items()}
    fresh = np.zeros(rows, bool)
    fresh[0 if before is not None else 1 :] = _boundaries(block)
    return fresh


def _boundaries(block: Block) -> np.ndarray:
    """``(rows - 1,)`` bool: whether an episode ends between a row and the next."""
    if "episode" in block:
        return block["episode"][1:] != block["episode"][:-1]
    ended = np.zeros(_rows(block) - 1, bool)
    for name in ("terminated", "truncated", "dones"):
        if name in block:
            flags = block[name][:-1].astype(bool)
            ended |= flags.any(axis=tuple(range(1, flags.ndim)))
    if "truncated" not in block:
        for name in [name for name in block if name.partition(".")[0] == "next_observations"]:
            ended |= ~_same(block[name][:-1], block[name.removeprefix("next_")][1:])
    return ended


def _same(ends: np.ndarray, begins: np.ndarray) -> np.ndarray:
    equal = (ends == begins) | ((ends != ends) & (begins != begins))  # NaN meets NaN: for the checks to find, not a cut
    return equal.all(axis=tuple(range(1, equal.ndim)))


def _trajectories(pieces: list[Block], horizon: int | None, ordered: bool) -> Iterator[Trajectory]:
    block = pieces[0] if len(pieces) == 1 else {n: np.concatenate([piece[n] for piece in pieces]) for n in pieces[0]}
    steps, whole = _rows(block), any(name.partition(".")[0] == "next_observations" for name in block)
    terminated, truncated = _end(block, horizon)
    if not whole and ordered:  # the observation after the last action is unknown, so that action is left out
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
    )


def _end(block: Block, horizon: int | None) -> tuple[bool, bool]:
    """Whether the task or something else ended an episode, from what its last row says."""
    flags = {name: bool(block[name][-1].any()) for name in ("terminated", "truncated", "dones") if name in block}
    at_limit = _rows(block) == horizon
    if "terminated" in flags:
        truncated = flags.get("truncated", False) or ("truncated" not in flags and not flags["terminated"] and at_limit)
        return flags["terminated"], truncated
    if "dones" in flags:
        truncated = flags.get("truncated", at_limit)
        return flags["dones"] and not truncated, truncated
    return False, flags.get("truncated", at_limit)


def _observations(block: Block, whole: bool, ordered: bool) -> Observations:
    """``(T + 1, ...)``: the rows, and the last row's next observation (padding where the order is unknown)."""
    arrays = {name: array for name, array in block.items() if name.partition(".")[0] == "observations"}
    if whole:
        arrays = {name: np.concatenate([array, block[f"next_{name}"][-1:]]) for name, array in arrays.items()}
    elif not ordered:
        arrays = {name: np.concatenate([array, array[-1:]]) for name, array in arrays.items()}
    if "observations" in arrays:
        return arrays["observations"]
    return {name.removeprefix("observations."): array for name, array in arrays.items()}
