"""Convert to and from the in-memory types of the imitation library (``imitation.data.types``).

Its files are not read here: they hold pickles or jsonpickled infos, which can run code.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.fitting import plain_array
from ganq_irl_demos.tables.boundaries import Rules
from ganq_irl_demos.tables.survey import survey
from ganq_irl_demos.trajectories import Observations, Trajectory, named_arrays

if TYPE_CHECKING:
    from imitation.data import types


def is_imitation(source: Any) -> bool:
    """Return whether an object is an instance of one of imitation's classes, without importing imitation."""
    return any(base.__module__.startswith("imitation.") for base in type(source).__mro__)


def pairs_of(source: Any) -> dict[str, Any] | None:
    """Return the columns of imitation's ``TransitionsMinimal``, which have no next observations; None for other objects."""
    is_pairs = is_imitation(source) and hasattr(source, "obs") and not hasattr(source, "next_obs")
    if not is_pairs or hasattr(source, "terminal"):
        return None
    rewards = {"rews": source.rews} if hasattr(source, "rews") else {}
    return {"obs": _plain(source.obs), "acts": source.acts, **rewards}


def from_imitation(source: Any, horizon: int | None = None) -> list[Trajectory]:
    """Convert trajectories, or transitions, which are split where ``dones`` is true or observations are not consecutive.

    imitation's ``terminal`` marks a complete episode, whether the task or a time limit ended it. A complete episode counts
    as truncated if ``infos`` say so (``TimeLimit.truncated``) or its length equals ``horizon``, and as terminated otherwise.
    An incomplete episode counts as truncated. Infos are otherwise dropped.

    Args:
        source: a ``Trajectory`` or ``TrajectoryWithRew`` or a sequence of them, ``Transitions``, or ``TransitionsWithRew``.
        horizon: time limit of the environment, if known.

    Raises:
        InvalidDemonstrations: an item is not a trajectory.
    """
    if hasattr(source, "obs"):  # one object with arrays, not a sequence of trajectories
        return _from_transitions(source, horizon) if not hasattr(source, "terminal") else [_from_trajectory(source, horizon)]
    return [_from_trajectory(trajectory, horizon) for trajectory in source]


def to_imitation(demonstrations: Demonstrations) -> list[types.Trajectory]:
    """Convert to ``TrajectoryWithRew``, or to ``Trajectory`` if there are no rewards; ``terminal`` is ``terminated``.

    Integer rewards become float64, which imitation requires. Seeds, spaces and provenance are lost.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions, which imitation does not allow.
    """
    from imitation.data import types

    def convert(trajectory: Trajectory, index: int) -> types.Trajectory:
        if not len(trajectory):
            raise InvalidDemonstrations(f"{demonstrations.source}: trajectory {index} has no transitions; leave it out")
        obs = types.maybe_wrap_in_dictobs(trajectory.observations)
        acts, rewards, terminal = trajectory.actions, trajectory.rewards, trajectory.terminated
        if rewards is None:
            return types.Trajectory(obs=obs, acts=acts, infos=None, terminal=terminal)
        rewards = rewards if rewards.dtype.kind == "f" else rewards.astype(np.float64)
        return types.TrajectoryWithRew(obs=obs, acts=acts, infos=None, terminal=terminal, rews=rewards)

    return [convert(trajectory, index) for index, trajectory in enumerate(demonstrations)]


def horizon_of(env_id: str | None) -> int | None:
    """Return the time limit of a registered environment, or None."""
    import gymnasium as gym

    spec = gym.registry.get(env_id.rpartition(":")[2]) if env_id else None
    return spec.max_episode_steps if spec else None


def _from_trajectory(trajectory: types.Trajectory, horizon: int | None) -> Trajectory:
    if not hasattr(trajectory, "terminal") or not hasattr(trajectory, "acts"):
        raise InvalidDemonstrations(
            f"expected trajectories, given a {type(trajectory).__name__}; use imitation's Trajectory or Transitions "
            "objects, or Trajectory objects of ganq_irl_demos"
        )
    cut = not trajectory.terminal or _hit_time_limit(trajectory, horizon)
    rewards = getattr(trajectory, "rews", None)
    return Trajectory(_plain(trajectory.obs), trajectory.acts, rewards, terminated=not cut, truncated=cut)


def _hit_time_limit(trajectory: types.Trajectory, horizon: int | None) -> bool:
    if trajectory.infos is not None and "TimeLimit.truncated" in trajectory.infos[-1]:
        return bool(trajectory.infos[-1]["TimeLimit.truncated"])
    return len(trajectory.acts) == horizon


def _from_transitions(transitions: Any, horizon: int | None) -> list[Trajectory]:
    obs, following = _plain(transitions.obs), _plain(transitions.next_obs)
    named = {**named_arrays(obs), **{f"next_{name}": array for name, array in named_arrays(following).items()}}
    rows = {name: plain_array(array, name) for name, array in {**named, "dones": transitions.dones}.items()}
    for remark in survey(iter([rows]), Rules(), "imitation's transitions").remarks(noted=False):
        warnings.warn(f"imitation's transitions: {remark}", stacklevel=5)
    ends = np.flatnonzero(transitions.dones | ~_continues(obs, following)) + 1
    starts = np.concatenate([[0], ends[:-1]]).astype(int)
    return [_from_slice(transitions, obs, following, slice(*bounds), horizon) for bounds in zip(starts, ends, strict=True)]


def _from_slice(
    transitions: Any, obs: Observations, following: Observations, rows: slice, horizon: int | None
) -> Trajectory:
    cut = not transitions.dones[rows.stop - 1] or _limit_in_infos(transitions, rows, horizon)
    rewards = getattr(transitions, "rews", None)
    return Trajectory(
        observations=_path(obs, following, rows),
        actions=transitions.acts[rows],
        rewards=None if rewards is None else rewards[rows],
        terminated=not cut,
        truncated=cut,
    )


def _limit_in_infos(transitions: Any, rows: slice, horizon: int | None) -> bool:
    info = transitions.infos[rows.stop - 1]
    return bool(info["TimeLimit.truncated"]) if "TimeLimit.truncated" in info else rows.stop - rows.start == horizon


def _path(obs: Observations, following: Observations, rows: slice) -> Observations:
    if isinstance(obs, dict):
        assert isinstance(following, dict)
        return {key: np.concatenate([obs[key][rows], following[key][rows.stop - 1 : rows.stop]]) for key in obs}
    assert not isinstance(following, dict)
    return np.concatenate([obs[rows], following[rows.stop - 1 : rows.stop]])


def _continues(obs: Observations, following: Observations) -> np.ndarray:
    """Return ``(n,)`` bool: whether row i + 1 starts where row i ended; False for the last row."""
    if isinstance(obs, dict):
        assert isinstance(following, dict)
        return np.logical_and.reduce([_continues(obs[key], following[key]) for key in obs])
    assert not isinstance(following, dict)
    before, after = following[:-1], obs[1:]
    same = (before == after) | ((before != before) & (after != after))  # NaN equals NaN: left to the checks, not cut
    return np.append(same.reshape(len(same), -1).all(axis=1), np.zeros(len(obs) - len(same), dtype=bool))


def _plain(obs: Any) -> Observations:
    return obs.unwrap() if hasattr(obs, "unwrap") else obs
