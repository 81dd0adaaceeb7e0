"""One episode as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl_demos.fitting import fitted, plain_array

Observations = np.ndarray | dict[str, np.ndarray]
"""``(T + 1, *shape)``, or one such array for each key of a Dict space."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode, or the part of one that was recorded. The arrays are read-only.

    Fields may be given as arrays, lists or torch tensors. Whether they fit together is checked when trajectories become
    ``Demonstrations``; their values are checked by ``check_demonstrations``.

    Attributes:
        observations: ``(T + 1, *observation_shape)``, the last one where the episode stopped; or a dict of such arrays.
        actions: ``(T, *action_shape)`` as the environment executed them; ``(T,)`` of integers for a Discrete space.
        rewards: ``(T,)`` of the environment's own, or None. For judging demonstrations; no learner sees them.
        terminated: whether the task ended (success, failure).
        truncated: whether something outside the task, such as a time limit, cut the episode.
        seed: seed of the reset that began the episode, or None.

    Raises:
        InvalidDemonstrations: a field is no array of one shape, such as ragged lists.
    """

    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray | None = None
    terminated: bool = False
    truncated: bool = False
    seed: int | None = None

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

    def __len__(self) -> int:
        """Number of transitions T."""
        return self.actions.shape[0] if self.actions.ndim else 0

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name: ``observations`` or ``observations.<key>``, ``actions``, and ``rewards`` if there are any."""
        rewards = {} if self.rewards is None else {"rewards": self.rewards}
        return {**named_arrays(self.observations), "actions": self.actions, **rewards}

    @property
    def episode_return(self) -> float | None:
        """Sum of the rewards, or None without rewards."""
        return None if self.rewards is None else float(np.sum(self.rewards, dtype=np.float64))


PREFIX = "observations."
"""Before the keys of a Dict observation, in the names of its arrays."""


def named_arrays(observations: Observations) -> dict[str, np.ndarray]:
    """Observation arrays by the name that messages and files use: ``observations`` or ``observations.<key>``."""
    if isinstance(observations, dict):
        return {f"observations.{key}": value for key, value in observations.items()}
    return {"observations": observations}


def observations_of(arrays: Mapping[str, np.ndarray]) -> Observations:
    """The inverse of ``named_arrays``; arrays of other names are left out."""
    if "observations" in arrays:
        return arrays["observations"]
    return {name[len(PREFIX) :]: array for name, array in arrays.items() if name.startswith(PREFIX)}


def named_spaces(observation_space: spaces.Space) -> dict[str, spaces.Space]:
    """Observation spaces by the same names as ``named_arrays``."""
    if isinstance(observation_space, spaces.Dict):
        return {f"observations.{key}": space for key, space in observation_space.spaces.items()}
    return {"observations": observation_space}


def fit(trajectory: Trajectory, observation_space: spaces.Space, action_space: spaces.Space) -> Trajectory:
    """A trajectory in the shapes and kinds of number that the spaces ask for; itself where it is in them already."""
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
    """A list of one dict a step as a dict of lists; other observations as they are."""
    if isinstance(observations, list | tuple) and observations and all(isinstance(one, Mapping) for one in observations):
        return {key: [one.get(key) for one in observations] for key in observations[0]}
    return observations


def _read_only(value: Any, name: str) -> np.ndarray:
    view = plain_array(value, name).view()
    view.flags.writeable = False
    return view
