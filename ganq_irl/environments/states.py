"""Put environments into the states that recorded observations describe, to draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv
from gymnasium.envs.classic_control.mountain_car import MountainCarEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv

Put = Callable[[np.ndarray], None]


def can_show(env: gym.Env) -> bool:
    """Return whether ``show_states`` knows the environment."""
    return _putter(env) is not None


def show_states(env: gym.Env, observations: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Put an environment into the state of each observation in turn, and yield the observation.

    Known are CartPole, Pendulum, MountainCar, Acrobot and, with Gymnasium 1, MuJoCo's robots. Positions that a robot does
    not observe start at 0 and follow its velocity.

    Raises:
        ValueError: the environment is not known; see ``can_show``.

    Example:
        >>> env = gym.make("Pendulum-v1")
        >>> _ = list(show_states(env, np.array([[0.0, 1.0, 0.5]])))
        >>> env.unwrapped.state.round(3).tolist()
        [1.571, 0.5]
    """
    put = _putter(env)
    if put is None:
        raise ValueError(f"the states of {env} cannot be set from its observations")
    env.reset(seed=0)  # before it, Gymnasium refuses to draw
    for observation in observations:
        put(np.asarray(observation, dtype=np.float64))
        yield observation


def _putter(env: gym.Env) -> Put | None:
    base: Any = env.unwrapped
    if env.observation_space != base.observation_space:  # a wrapper changed what is observed
        return None
    match base:
        case CartPoleEnv() | MountainCarEnv() | Continuous_MountainCarEnv():
            return lambda observation: setattr(base, "state", observation)
        case PendulumEnv():
            return lambda observation: _put_pendulum(base, observation)
        case AcrobotEnv():
            return lambda observation: setattr(base, "state", _acrobot(observation))
    return _robot(base)


def _put_pendulum(base: Any, observation: np.ndarray) -> None:
    x, y, velocity = observation
    base.state, base.last_u = np.array([np.arctan2(y, x), velocity]), None  # without an arrow for the torque


def _acrobot(observation: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2, *velocities = observation
    return np.array([np.arctan2(y1, x1), np.arctan2(y2, x2), *velocities])


def _robot(base: Any) -> Put | None:
    """Return the function for a robot of MuJoCo whose observation begins with positions and velocities."""
    parts = getattr(base, "observation_structure", {})
    skipped, n_positions, n_velocities = (parts.get(name, 0) for name in ("skipped_qpos", "qpos", "qvel"))
    if not hasattr(base, "set_state") or not n_positions:
        return None
    if (skipped + n_positions, n_velocities) != (base.model.nq, base.model.nv):
        return None
    travelled = np.zeros(skipped)

    def put(observation: np.ndarray) -> None:
        positions, velocities = np.split(observation[: n_positions + n_velocities], [n_positions])
        base.set_state(np.concatenate([travelled, positions]), velocities)
        travelled[:] += velocities[:skipped] * base.dt

    return put
