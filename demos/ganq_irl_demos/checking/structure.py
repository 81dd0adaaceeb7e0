"""Rules that one trajectory keeps by itself: keys, dtypes, shapes, lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from ganq_irl_demos.checking.findings import Finding
from ganq_irl_demos.trajectories import Trajectory, named_arrays, named_spaces


def check_structure(
    trajectory: Trajectory,
    index: int,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    missing: tuple[str, ...] = (),
) -> Iterator[Finding]:
    """Findings about one trajectory, all of them errors; its values can be judged only when there are none."""
    arrays, expected = named_arrays(trajectory.observations), named_spaces(observation_space)
    if set(arrays) != set(expected):
        message = f"given {_listed(arrays)}, expected {_listed(expected)}; name the parts as the observation space does"
        yield Finding("error", index, None, "observations", "keys", message)
    shared = sorted(expected.keys() & arrays.keys())
    for name in shared:
        yield from _check_array(arrays[name], index, name, expected[name])
    if "actions" not in missing:
        yield from _check_array(trajectory.actions, index, "actions", action_space)
    if trajectory.rewards is not None:
        yield from _check_rewards(trajectory.rewards, index)
    if trajectory.actions.ndim:  # otherwise there is no T to compare with
        yield from _check_lengths(trajectory, index, shared)


def _check_lengths(trajectory: Trajectory, index: int, names: list[str]) -> Iterator[Finding]:
    steps, arrays = len(trajectory), named_arrays(trajectory.observations)
    if not steps:
        message = "the trajectory has no transitions; leave it out"
        yield Finding("error", index, None, "actions", "zero-length", message)
    for name in names:
        yield from _check_length(arrays[name], index, name, steps + 1, "one more than actions")
    if trajectory.rewards is not None:
        yield from _check_length(trajectory.rewards, index, "rewards", steps, "one for each action")


def _check_array(array: np.ndarray, index: int, field: str, space: spaces.Space) -> Iterator[Finding]:
    kinds, names = _allowed(space)
    if array.dtype.kind == "f" and "f" not in kinds and np.isnan(array).any():
        message = f"NaN, expected {names} for {space}; a missing value? Fill it in, or leave this trajectory out"
        yield Finding("error", index, int(np.argwhere(np.isnan(array))[0][0]), field, "non-finite", message)
    elif array.dtype.kind not in kinds:
        message = f"dtype {array.dtype}, expected {names} for {space}; convert the values with .astype before saving"
        yield Finding("error", index, None, field, "dtype", message)
    shape = space.shape or ()
    if array.ndim == 0 or array.shape[1:] != shape:
        given = array.shape[1:] if array.ndim else "no steps at all"
        message = f"shape of one step is {given}, expected {shape} as in {space}; was it made in another environment?"
        yield Finding("error", index, 0, field, "shape", message)


def _check_rewards(rewards: np.ndarray, index: int) -> Iterator[Finding]:
    if rewards.dtype.kind not in "biuf":
        message = f"dtype {rewards.dtype}, expected floats; convert them with .astype(float), or leave rewards out"
        yield Finding("error", index, None, "rewards", "dtype", message)
    if rewards.ndim != 1:
        message = f"shape {rewards.shape}, expected one number a step; flatten them, or leave rewards out"
        yield Finding("error", index, 0, "rewards", "shape", message)


def _check_length(array: np.ndarray, index: int, field: str, expected: int, why: str) -> Iterator[Finding]:
    if array.ndim and len(array) != expected:
        message = f"{len(array)} rows, expected {expected}, {why}; an episode of T actions has T + 1 observations"
        yield Finding("error", index, min(len(array), expected), field, "length", message)


def _allowed(space: spaces.Space) -> tuple[str, str]:
    """Kinds of dtype that hold values of a space, and their name for a message."""
    if isinstance(space, spaces.MultiBinary):
        return "biu", "integers or booleans"
    if not isinstance(space, spaces.Box) or np.dtype(space.dtype).kind in "iu":
        return "iu", "integers"
    return "fiu", "floats"


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]
