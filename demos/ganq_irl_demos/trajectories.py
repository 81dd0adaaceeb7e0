"""Episodes as numpy arrays, and a set of them with the spaces they live in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError
from ganq_irl.spaces import check_supported
from ganq_irl_demos.fitting import fitted, plain_array

if TYPE_CHECKING:
    import torch

    from ganq_irl.types import Batch

Observations = np.ndarray | dict[str, np.ndarray]
"""``(T + 1, *shape)``, or one such array for each key of a Dict space."""


MISSABLE = ("actions", "next_observations")
"""What demonstrations may lack. Missing rewards need no mark: they are None."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode, or the part of one that was recorded. The arrays are read-only.

    Fields may be given as arrays, lists or torch tensors. Content is not checked here, so that ``check_demonstrations`` can
    say what is wrong with it, and where.

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
    def episode_return(self) -> float | None:
        """Sum of the rewards, or None without rewards."""
        return None if self.rewards is None else float(np.sum(self.rewards, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Demonstrations(Sequence[Trajectory]):
    """A sequence of trajectories with the spaces they live in and where they came from.

    Attributes:
        trajectories: the episodes, in the shapes and kinds of number of the spaces where that loses nothing.
        observation_space: of the environment: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        action_space: Box, Discrete, MultiDiscrete or MultiBinary.
        env_id: Gymnasium id of the environment, or None when unknown.
        provenance: JSON values that say how the episodes were made (expert, commands, seeds, versions).
        source: file, catalog name or description, for messages; not part of the content.
        missing: what the trajectories do not tell, of ``MISSABLE``. Without ``actions`` theirs have shape ``(T, 0)``;
            without ``next_observations`` rows are in no known order, and the last observation of a trajectory is padding.

    Raises:
        IncompatibleSpaces: a space is of a kind that is not supported.
        ConfigurationError: the provenance is not JSON, or ``missing`` names something else.
    """

    trajectories: tuple[Trajectory, ...]
    observation_space: spaces.Space
    action_space: spaces.Space
    env_id: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    source: str = "demonstrations"
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.missing) - set(MISSABLE)):
            raise ConfigurationError(f"missing={unknown}: only {' and '.join(MISSABLE)} can be missing")
        object.__setattr__(self, "missing", tuple(sorted(set(self.missing))))
        object.__setattr__(self, "provenance", _as_json(self.provenance))
        check_supported(self.observation_space, self.action_space)
        fits = (fit(trajectory, self.observation_space, self.action_space) for trajectory in self.trajectories)
        object.__setattr__(self, "trajectories", tuple(fits))

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.trajectories)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self.trajectories)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> Demonstrations: ...
    def __getitem__(self, index: int | slice) -> Trajectory | Demonstrations:
        """One trajectory, or ``Demonstrations`` of a slice of them."""
        if isinstance(index, slice):
            return replace(self, trajectories=self.trajectories[index])
        return self.trajectories[index]

    def __repr__(self) -> str:
        return (
            f"Demonstrations({self.source}: {len(self)} trajectories, {self.n_transitions} transitions, env {self.env_id})"
        )

    @property
    def n_transitions(self) -> int:
        """Transitions in all trajectories together."""
        return sum(len(trajectory) for trajectory in self)

    @property
    def returns(self) -> np.ndarray | None:
        """Episode returns, ``(n_trajectories,)`` float64; None unless every trajectory has rewards."""
        returns = [trajectory.episode_return for trajectory in self]
        return None if not returns or None in returns else np.array(returns, dtype=np.float64)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of everything but ``source``, in hexadecimal: the same whatever file the demonstrations came from.

        Raises:
            InvalidDemonstrations: the trajectories differ in shape, so that they are no one data set.
        """
        from ganq_irl_demos.packing import content_checksum, pack

        return content_checksum(*pack(self))

    def select(self, n: int, generator: np.random.Generator | None = None) -> Demonstrations:
        """The first ``n`` trajectories, or ``n`` drawn without replacement when a ``generator`` is given.

        The provenance gains ``selected``, the indices chosen.

        Raises:
            ConfigurationError: ``n`` is less than one or more than there are.
        """
        if not 1 <= n <= len(self):
            raise ConfigurationError(
                f"{self.source}: {n} trajectories were asked for, but it holds {len(self)}; ask for 1 to {len(self)}"
                if len(self)
                else f"{self.source} holds no trajectories; record or load some first"
            )
        chosen = list(range(n)) if generator is None else generator.permutation(len(self))[:n].tolist()
        return replace(
            self,
            trajectories=tuple(self.trajectories[index] for index in chosen),
            provenance={**self.provenance, "selected": chosen},
        )

    def to_batch(self, device: torch.device | str = "cpu") -> Batch:
        """All transitions as one ``Batch`` on ``device``, trajectory after trajectory; rewards are left out.

        Returns:
            A batch of ``n_transitions`` rows: uint8 stays (images), other integers become int64, floats float32.
            ``dones`` is 1 only on the last step of a ``terminated`` trajectory: a time limit is not termination.

        Raises:
            InvalidDemonstrations: there are no transitions, or trajectories differ in shape.
        """
        from ganq_irl_demos.batching import to_batch

        return to_batch(self, device)


def named_arrays(observations: Observations) -> dict[str, np.ndarray]:
    """Observation arrays by the name that messages and files use: ``observations`` or ``observations.<key>``."""
    if isinstance(observations, dict):
        return {f"observations.{key}": value for key, value in observations.items()}
    return {"observations": observations}


def named_spaces(observation_space: spaces.Space) -> dict[str, spaces.Space]:
    """Observation spaces by the same names as ``named_arrays``."""
    if isinstance(observation_space, spaces.Dict):
        return {f"observations.{key}": space for key, space in observation_space.spaces.items()}
    return {"observations": observation_space}


def fit(trajectory: Trajectory, observation_space: spaces.Space, action_space: spaces.Space) -> Trajectory:
    """A trajectory in the shapes and kinds of number that the spaces ask for; itself where it is in them already."""
    expected = named_spaces(observation_space)
    given = named_arrays(trajectory.observations)
    arrays = {name: fitted(array, expected[name]) if name in expected else array for name, array in given.items()}
    lacking = trajectory.actions.shape[1:] == (0,)
    actions = trajectory.actions if lacking else fitted(trajectory.actions, action_space)
    rewards = trajectory.rewards
    if rewards is not None and rewards.ndim > 1 and rewards.size == len(trajectory):
        rewards = rewards.reshape(-1)
    if actions is trajectory.actions and rewards is trajectory.rewards and all(arrays[n] is given[n] for n in given):
        return trajectory
    keyed = {name.removeprefix("observations."): array for name, array in arrays.items()}
    observations = keyed if isinstance(trajectory.observations, dict) else arrays["observations"]
    return replace(trajectory, observations=observations, actions=actions, rewards=rewards)


def _by_key(observations: Any) -> Any:
    """A list of one dict a step as a dict of lists; other observations as they are."""
    if isinstance(observations, list | tuple) and observations and all(isinstance(one, Mapping) for one in observations):
        return {key: [one.get(key) for one in observations] for key in observations[0]}
    return observations


def _read_only(value: Any, name: str) -> np.ndarray:
    view = plain_array(value, name).view()
    view.flags.writeable = False
    return view


def _as_json(provenance: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(provenance)))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the provenance of demonstrations must hold JSON values only ({error}); convert the others to str or float"
        ) from error
