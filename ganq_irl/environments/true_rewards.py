"""Known true rewards as functions of a transition, to compare recovered rewards with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl.environments import (
    CHANGED_CARTPOLE,
    CHANGED_PENDULUM,
    CONTINUING_CARTPOLE,
    POINT_MAZE,
    SHIFTED_POINT_MAZE,
)
from ganq_irl.environments.cartpole import continuing_cartpole_reward
from ganq_irl.environments.point_maze import point_maze_reward
from ganq_irl.environments.tabular import TabularEnv

Formula = Callable[[Any, np.ndarray, Any, np.ndarray], np.ndarray]
"""``(observations, actions, next_observations, dones) -> (batch,)``."""


def pendulum_reward(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return Pendulum-v1's reward, −(θ² + 0.1 θ'² + 0.001 u²), ``(batch,)``."""
    angle = np.arctan2(observations[:, 1], observations[:, 0])
    return -(angle**2 + 0.1 * observations[:, 2] ** 2 + 0.001 * actions.reshape(len(actions)) ** 2)


FORMULAS: dict[str, Formula] = {
    "Pendulum-v1": lambda states, actions, _next, _dones: pendulum_reward(states, actions),
    CHANGED_PENDULUM: lambda states, actions, _next, _dones: pendulum_reward(states, actions),
    POINT_MAZE: lambda states, actions, _next, _dones: point_maze_reward(states, actions),
    SHIFTED_POINT_MAZE: lambda states, actions, _next, _dones: point_maze_reward(states, actions),
    CONTINUING_CARTPOLE: lambda states, _actions, _next, _dones: continuing_cartpole_reward(states),
    CHANGED_CARTPOLE: lambda states, _actions, _next, _dones: continuing_cartpole_reward(states),
    "CartPole-v1": lambda _states, actions, _next, _dones: np.ones(len(actions)),
    "MountainCar-v0": lambda _states, actions, _next, _dones: -np.ones(len(actions)),
    "Acrobot-v1": lambda _states, _actions, _next, dones: dones - 1.0,
    "MountainCarContinuous-v0": lambda _states, actions, _next, dones: 100.0 * dones - 0.1 * actions[:, 0] ** 2,
}
"""Formula by Gymnasium id, for the environment made without keyword arguments."""


def true_formula(env: gym.Env) -> Formula | None:
    """Return the reward of an environment as a formula (for a tabular one, its mean), or None if it is unknown."""
    tables = env.unwrapped
    if isinstance(tables, TabularEnv):
        return lambda states, actions, _next, _dones: tables.R[
            states.reshape(-1).astype(int), actions.reshape(-1).astype(int)
        ]
    return None if env.spec is None or env.spec.kwargs else FORMULAS.get(env.spec.id)
