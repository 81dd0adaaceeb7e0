"""Interface of rewards for wrappers, metrics and plots: an object with spaces that computes rewards in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.types import Batch, mapped

Price = Callable[[Any, np.ndarray, Any, np.ndarray], np.ndarray]
"""``(observations, actions, next_observations, dones) -> (batch,)``, with arrays or dicts of arrays."""


class RewardFunction(Protocol):
    """Interface of rewards: ``RewardModel``, ``FunctionReward``, or an imitation reward through ``from_imitation``.

    Example:
        >>> def total(reward: RewardFunction) -> float:  # takes a reward of any kind
        ...     return float(reward.reward(demos[0].observations[:-1], demos[0].actions, demos[0].observations[1:]).sum())
        >>> type(total(reward)).__name__
        'float'
    """

    @property
    def observation_space(self) -> spaces.Space:
        """Observation space."""
        ...

    @property
    def action_space(self) -> spaces.Space:
        """Action space."""
        ...

    def reward(self, observations: Any, actions: Any, next_observations: Any, dones: Any = None) -> Any:
        """Return the reward of each transition, ``(batch,)``, or of one; ``dones`` is 1 only for true termination."""
        ...


class RewardInputs(NamedTuple):
    """Transitions as tensors with a batch axis.

    Attributes:
        observations: ``(batch, *shape)``, or a dict of such tensors.
        actions: ``(batch, *shape)``.
        next_observations: like ``observations``.
        dones: ``(batch,)``.
        is_single: whether one transition was given, without the batch axis.
    """

    observations: Any
    actions: Tensor
    next_observations: Any
    dones: Tensor
    is_single: bool

    def unbatched(self, rewards: Any) -> Any:
        """Return rewards ``(batch,)`` unchanged for a batch, and as a number for a single transition."""
        return rewards[0] if self.is_single else rewards


def batched(space: spaces.Space, observations: Any, actions: Any, next_observations: Any, dones: Any = None) -> RewardInputs:
    """Convert a batch of transitions, or a single one, from arrays, tensors or lists to tensors.

    Args:
        space: observation space, which tells a batch from a single observation.
        observations: raw observations.
        actions: actions as the environment takes them.
        next_observations: raw next observations.
        dones: 1 only for true termination; 0 by default.

    Raises:
        IncompatibleSpaces: the values are not numbers, or their lengths differ.
    """
    here, taken, following = map(_tensors, (observations, actions, next_observations))
    is_single = _leaf(here).ndim == _rank(space)
    ends = torch.zeros(_leaf(here).shape[: 0 if is_single else 1]) if dones is None else _tensors(dones)
    rows: list[Any] = [
        mapped(lambda tensor: tensor[None], each) if is_single else each for each in (here, taken, following, ends)
    ]
    sizes = [_leaf(each).shape[:1] for each in rows]
    if len({*sizes}) != 1 or not sizes[0]:
        shapes = [tuple(_leaf(each).shape) for each in (here, taken, following, ends)]
        raise IncompatibleSpaces(
            f"observations, actions, next observations and dones have shapes {shapes}; expected a single transition, or the "
            f"same number of each, with observations of {space}"
        )
    return RewardInputs(rows[0], rows[1], rows[2], rows[3], is_single)


def is_tensor(value: Any) -> bool:
    """Return whether observations are given as tensors."""
    return isinstance(_leaf(value), Tensor)


@dataclass(frozen=True)
class FunctionReward:
    """A reward given by a function, such as the true reward of an environment.

    Attributes:
        observation_space: observation space.
        action_space: action space.
        function: computes rewards from arrays.

    Example:
        >>> def upright(observations, actions, next_observations, dones):
        ...     return np.cos(next_observations[:, 2])
        >>> upright = FunctionReward(env.observation_space, env.action_space, upright)
        >>> upright.reward(demos[0].observations[:2], demos[0].actions[:2], demos[0].observations[1:3]).shape
        (2,)
    """

    observation_space: spaces.Space
    action_space: spaces.Space
    function: Price

    def reward(self, observations: Any, actions: Any, next_observations: Any, dones: Any = None) -> Any:
        """Return the reward of each transition, ``(batch,)``, or a number for a single one."""
        rows = batched(self.observation_space, observations, actions, next_observations, dones)
        return rows.unbatched(np.asarray(self.function(*map(arrays_of, rows[:4]))))


def tabular_reward(table: np.ndarray, n_actions: int | None = None) -> FunctionReward:
    """Return a reward given by a table: R(s) ``(S,)``, R(s, a) ``(S, A)`` or R(s, a, s') ``(S, A, S)``.

    Args:
        table: the rewards.
        n_actions: number of actions, needed for a table of shape ``(S,)``.

    Raises:
        ConfigurationError: the table has another shape, or ``n_actions`` is missing.

    Example:
        >>> right = tabular_reward(np.array([[0.0, 1.0], [0.0, 1.0]]))  # R(s, a) of two states and two actions
        >>> right.reward(np.array([0, 1]), np.array([1, 0]), np.array([1, 1]))
        array([1., 0.])
    """
    table = np.asarray(table, float)
    n_actions = table.shape[1] if table.ndim > 1 else n_actions
    if table.ndim not in (1, 2, 3) or n_actions is None:
        raise ConfigurationError(f"a table of shape {table.shape}: expected (S,) with n_actions, (S, A) or (S, A, S)")

    def look_up(observations: Any, actions: np.ndarray, next_observations: Any, _dones: np.ndarray) -> np.ndarray:
        index = (observations, actions, next_observations)[: table.ndim]
        return table[tuple(np.asarray(part).reshape(len(actions)).astype(int) for part in index)]

    return FunctionReward(spaces.Discrete(table.shape[0]), spaces.Discrete(n_actions), look_up)


def rewards_of(reward: RewardFunction, batch: Batch) -> np.ndarray:
    """Return the reward of each transition of a batch, ``(batch,)`` float64.

    Raises:
        IncompatibleSpaces: the reward does not return one number per transition.

    Example:
        >>> rewards_of(reward, batch).shape
        (64,)
    """
    given = (arrays_of(value) for value in (batch.observations, batch.actions, batch.next_observations, batch.dones))
    rewards = np.asarray(reward.reward(*given), np.float64)
    if rewards.shape != (len(batch),):
        raise IncompatibleSpaces(
            f"given rewards of shape {rewards.shape} for {len(batch)} transitions; expected one number per transition"
        )
    return rewards


def arrays_of(value: Any) -> Any:
    """Convert tensors, or a dict of tensors, to arrays."""
    if isinstance(value, Mapping):
        return {key: arrays_of(entry) for key, entry in value.items()}
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tensors(entry) for key, entry in value.items()}
    try:
        return value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise IncompatibleSpaces(f"given {type(value).__name__}; expected numbers ({error})") from error


def _leaf(value: Any) -> Any:
    return next(iter(value.values())) if isinstance(value, Mapping) and value else value


def _rank(space: spaces.Space) -> int:
    inner = next(iter(space.spaces.values())) if isinstance(space, spaces.Dict) else space
    return len(inner.shape or ())
