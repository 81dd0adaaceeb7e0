"""One episode as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos.fitting import fitted, plain_array

Observations = np.ndarray | dict[str, np.ndarray]
"""``(T + 1, *shape)``, or a dict of such arrays for a Dict space."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """An episode, or the recorded part of one. The arrays are read-only.

    Fields may be arrays, lists or torch tensors. ``Demonstrations`` checks whether they fit together, and
    ``check_demonstrations`` checks their values.

    Attributes:
        observations: ``(T + 1, *observation_shape)``, including the final one; or a dict of such arrays.
        actions: ``(T, *action_shape)`` as executed by the environment; integers ``(T,)`` for a Discrete space.
        rewards: ``(T,)`` rewards of the environment, or None. They serve to judge demonstrations; learners do not see them.
        terminated: whether the task ended (success, failure).
        truncated: whether something outside the task, such as a time limit, ended the episode.
        seed: seed of the environment's reset, or None.
        rank: how good the episode is beside the others, higher is better, or None. T-REX learns from ranks.

    Raises:
        InvalidDemonstrations: a field cannot be converted to an array, such as ragged lists, or the rank is not finite.

    Example:
        >>> episode = Trajectory(observations=np.zeros((4, 2)), actions=[0, 1, 0], rewards=[1, 1, 1], terminated=True)
        >>> len(episode), episode.episode_return  # three steps, four observations
        (3, 3.0)
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray | None = None
    terminated: bool = False
    truncated: bool = False
    seed: int | None = None
    rank: float | None = None

    def __post_init__(self) -> None:
        observations = _by_key(self.observations)
        object.__setattr__(
            self,
            "observations",
            {str(key): _read_only(value, f"observations.{key}") for key, value in observations.items()}
            if isinstance(observations, Mapping)
            else _read_only(observations, "observations"),
        )
        object.__setattr__(self, "actions", _read_only(self.actions, "actions"))
        if self.rewards is not None:
            object.__setattr__(self, "rewards", _read_only(self.rewards, "rewards"))
        object.__setattr__(self, "terminated", bool(self.terminated))
        object.__setattr__(self, "truncated", bool(self.truncated))
        object.__setattr__(self, "seed", None if self.seed is None else int(self.seed))
        object.__setattr__(self, "rank", None if self.rank is None else float(self.rank))
        if self.rank is not None and not np.isfinite(self.rank):
            raise InvalidDemonstrations(f"rank: given {self.rank}; expected a number, or None for an episode without one")

    def __len__(self) -> int:
        """Number of transitions T."""
        return self.actions.shape[0] if self.actions.ndim else 0

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name: ``observations`` or ``observations.<key>``, ``actions``, and ``rewards`` if there are any."""
        rewards = {} if self.rewards is None else {"rewards": self.rewards}
        return {**named_arrays(self.observations), "actions": self.actions, **rewards}

    @property
    def episode_return(self) -> float | None:
        """Sum of the rewards, or None if there are none."""
        return None if self.rewards is None else float(np.sum(self.rewards, dtype=np.float64))


PREFIX = "observations."
"""Prefix of the keys of a Dict observation in array names."""


def named_arrays(observations: Observations) -> dict[str, np.ndarray]:
    """Return observation arrays by the names used in messages and files: ``observations`` or ``observations.<key>``."""
    if isinstance(observations, dict):
        return {f"observations.{key}": value for key, value in observations.items()}
    return {"observations": observations}


def observations_of(arrays: Mapping[str, Any]) -> Any:
    """Undo ``named_arrays``; arrays with other names are ignored."""
    if "observations" in arrays:
        return arrays["observations"]
    return {name[len(PREFIX) :]: array for name, array in arrays.items() if name.startswith(PREFIX)}


def named_spaces(observation_space: spaces.Space) -> dict[str, spaces.Space]:
    """Return observation spaces by the names of ``named_arrays``."""
    if isinstance(observation_space, spaces.Dict):
        return {f"observations.{key}": space for key, space in observation_space.spaces.items()}
    return {"observations": observation_space}


def fit(trajectory: Trajectory, observation_space: spaces.Space, action_space: spaces.Space) -> Trajectory:
    """Convert a trajectory to the shapes and dtypes of the spaces; return it unchanged if it already has them."""
    expected = {**named_spaces(observation_space), "actions": action_space}
    given = trajectory.arrays
    arrays = {name: fitted(array, expected[name]) if name in expected else array for name, array in given.items()}
    rewards = arrays.get("rewards")
    if rewards is not None and rewards.ndim > 1 and rewards.size == len(trajectory):
        arrays["rewards"] = rewards.reshape(-1)
    if all(arrays[name] is given[name] for name in given):
        return trajectory
    return replace(
        trajectory, observations=observations_of(arrays), actions=arrays["actions"], rewards=arrays.get("rewards")
    )


def _by_key(observations: Any) -> Any:
    """Convert a list of dicts, one per step, to a dict of lists; return other observations unchanged."""
    if isinstance(observations, list | tuple) and observations and all(isinstance(one, Mapping) for one in observations):
        return {key: [one.get(key) for one in observations] for key in observations[0]}
    return observations


def _read_only(value: Any, name: str) -> np.ndarray:
    view = plain_array(value, name).view()
    view.flags.writeable = False
    return view
