"""Guess the spaces of a file without spaces from its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.streams import Request
from ganq_irl_demos.tables.boundaries import Block
from ganq_irl_demos.trajectories import Trajectory, named_arrays


def guess_spaces(
    trajectories: Callable[[], Iterator[Trajectory]], request: Request, source: str
) -> tuple[spaces.Space, spaces.Space]:
    """Return the requested spaces, or else boxes (or a Discrete action space) that contain the values."""

    def blocks() -> Iterator[Block]:
        return ({**named_arrays(one.observations), "actions": one.actions} for one in trajectories())

    first = None if request.has_spaces else next(blocks(), None)
    return (
        request.observation_space or guess_observations(first, source),
        request.action_space or guess_actions(first, blocks, source),
    )


def guess_observations(first: Block | None, source: str) -> spaces.Space:
    """Return unbounded boxes of the shapes in the first block; for uint8, image boxes."""
    if first is None:
        raise _no_spaces(source)
    keyed = {field.partition(".")[2]: array for field, array in first.items() if field.startswith("observations.")}
    if keyed:
        return spaces.Dict({key: _guess_box(array) for key, array in keyed.items()})
    return _guess_box(first["observations"])


def guess_actions(first: Block | None, blocks: Callable[[], Iterator[Block]], source: str) -> spaces.Space:
    """Return a Discrete space for single integers, with the maximum over all blocks; otherwise a box."""
    if first is None:
        raise _no_spaces(source)
    actions = first.get("actions")
    if actions is None:
        return spaces.Box(-np.inf, np.inf, (0,), np.float32)
    if actions.dtype.kind in "iub" and actions.reshape(len(actions), -1).shape[1] == 1:
        largest = max(int(block["actions"].max(initial=0)) for block in blocks())
        return spaces.Discrete(largest + 1)
    return _guess_box(actions)


def _guess_box(array: np.ndarray) -> spaces.Box:
    if array.dtype == np.uint8:
        return spaces.Box(0, 255, array.shape[1:], np.uint8)
    dtype: Any = array.dtype.type if array.dtype.kind == "f" else np.float64
    return spaces.Box(-np.inf, np.inf, array.shape[1:], dtype)


def _no_spaces(source: str) -> DemoFormatError:
    return DemoFormatError(f"{source} has no rows, so its spaces are unknown; name the environment with --env ID")
