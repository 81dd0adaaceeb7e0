"""Convert to and from the in-memory types of the imitation library (``imitation.data.types``).

Its files are not read here: they hold pickles or jsonpickled infos, which can run code.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.fitting import plain_array
from ganq_irl_demos.tables.boundaries import Rules
from ganq_irl_demos.tables.cutting import cut
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

    Example:
        >>> type(to_imitation(demos)[0]).__name__
        'TrajectoryWithRew'
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
    last = {} if trajectory.infos is None else trajectory.infos[-1]
    made = Trajectory(_plain(trajectory.obs), trajectory.acts, getattr(trajectory, "rews", None))
    return _ended(made, trajectory.terminal, last, horizon)


def _from_transitions(transitions: Any, horizon: int | None) -> list[Trajectory]:
    named = named_arrays(_plain(transitions.obs))
    named |= {f"next_{name}": array for name, array in named_arrays(_plain(transitions.next_obs)).items()}
    named |= {"actions": transitions.acts, "dones": transitions.dones}
    named |= {"rewards": transitions.rews} if hasattr(transitions, "rews") else {}
    rows = {name: plain_array(array, name) for name, array in named.items()}
    for remark in survey(iter([rows]), Rules(), "imitation's transitions").remarks(noted=False):
        warnings.warn(f"imitation's transitions: {remark}", stacklevel=5)
    episodes = list(cut(iter([rows]), horizon=None))
    lasts = np.cumsum([len(one) for one in episodes]) - 1
    return [
        _ended(one, bool(transitions.dones[last]), transitions.infos[last], horizon)
        for one, last in zip(episodes, lasts, strict=True)
    ]


def _ended(trajectory: Trajectory, is_whole: bool, info: dict[str, Any], horizon: int | None) -> Trajectory:
    """Return a trajectory with its end: a time limit's if the last ``info`` says so, or its length is the horizon."""
    hit_limit = bool(info.get("TimeLimit.truncated", len(trajectory) == horizon))
    is_cut = not is_whole or hit_limit
    return replace(trajectory, terminated=not is_cut, truncated=is_cut)


def _plain(obs: Any) -> Observations:
    return obs.unwrap() if hasattr(obs, "unwrap") else obs
