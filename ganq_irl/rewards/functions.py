"""What wrappers, metrics and pictures take for a reward: anything with spaces that prices transitions in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from torch import Tensor

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.types import Batch

Price = Callable[[Any, np.ndarray, Any, np.ndarray], np.ndarray]
"""``(observations, actions, next_observations, dones) -> (batch,)``, all of them arrays, or dicts of them."""


class RewardFunction(Protocol):
    """A reward of a transition: ``RewardModel``, ``FunctionReward``, or imitation's through ``from_imitation``."""

    @property
    def observation_space(self) -> spaces.Space:
        """Space of the observations that it takes."""
        ...

    @property
    def action_space(self) -> spaces.Space:
        """Space of the actions that it takes."""
        ...

    def reward(self, observations: Any, actions: Any, next_observations: Any, dones: Any) -> Any:
        """Reward of each transition, ``(batch,)``; ``dones`` is 1 only for true termination."""
        ...


@dataclass(frozen=True)
class FunctionReward:
    """A reward that a formula gives, such as an environment's true one.

    Attributes:
        observation_space: of the observations it takes.
        action_space: of the actions it takes.
        function: prices arrays.
    """

    observation_space: spaces.Space
    action_space: spaces.Space
    function: Price

    def reward(self, observations: Any, actions: Any, next_observations: Any, dones: Any) -> np.ndarray:
        """Reward of each transition, ``(batch,)``."""
        given = (_arrays(value) for value in (observations, actions, next_observations, dones))
        return np.asarray(self.function(*given))


def tabular_reward(table: np.ndarray, n_actions: int | None = None) -> FunctionReward:
    """The reward that a table holds: R(s) ``(S,)``, R(s, a) ``(S, A)`` or R(s, a, s') ``(S, A, S)``.

    Args:
        table: the rewards.
        n_actions: of an ``(S,)`` table, which does not say.

    Raises:
        ConfigurationError: another shape, or ``n_actions`` is missing.
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
    """Reward of each transition of a batch, ``(batch,)`` float64.

    Raises:
        IncompatibleSpaces: the reward is not one number a transition.
    """
    given = (_arrays(value) for value in (batch.observations, batch.actions, batch.next_observations, batch.dones))
    rewards = np.asarray(reward.reward(*given), np.float64)
    if rewards.shape != (len(batch),):
        raise IncompatibleSpaces(
            f"a reward of shape {rewards.shape} for {len(batch)} transitions; expected one number a transition"
        )
    return rewards


def _arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _arrays(entry) for key, entry in value.items()}
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
