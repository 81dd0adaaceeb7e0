"""What every episode must be, whoever plays it: finite in what it shows, and finite in length."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from ganq_irl.errors import EnvironmentFailed

_log = logging.getLogger(__name__)

MAX_EPISODE_STEPS = 1000
"""Steps after which an episode is truncated where its environment declares no time limit."""


class BoundedEpisodes(gym.Wrapper):
    """Truncates episodes after ``MAX_EPISODE_STEPS`` steps, and logs a warning when that happens first."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's."""
        self._steps = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As the environment's, with an end of the episode where it would have none."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        if self._steps >= MAX_EPISODE_STEPS and not terminated and not truncated:
            truncated = True
            _warn_of_no_limit(env_name(self.env))
        return observation, reward, terminated, truncated, info


def bounded(env: gym.Env) -> gym.Env:
    """The environment itself where it declares a time limit; otherwise with episodes of ``MAX_EPISODE_STEPS`` at most."""
    declared = env.spec is not None and env.spec.max_episode_steps is not None
    return env if declared or _has_time_limit(env) else BoundedEpisodes(env)


def require_finite(observation: Any, env: gym.Env | str, when: str) -> None:
    """Raise where an observation holds NaN or infinity.

    Args:
        observation: an array, a dict of arrays, or a batch of either.
        env: where it comes from, or the name of that.
        when: for the message, such as "at step 7".

    Raises:
        EnvironmentFailed: naming the environment, the step and the field.
    """
    parts = observation.items() if isinstance(observation, Mapping) else [("", observation)]
    for key, value in parts:
        array = np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            name = env if isinstance(env, str) else env_name(env)
            field = f"observations.{key}" if key else "observations"
            raise EnvironmentFailed(
                f"{name} gave {array[~np.isfinite(array)].flat[0]} in {field} {when}; expected finite numbers: look at its "
                "reset() and step()"
            )


def env_name(env: gym.Env) -> str:
    """Its Gymnasium id, or its class where it was not registered."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


@functools.cache
def _warn_of_no_limit(name: str) -> None:
    _log.warning(
        "%s declares no time limit, and an episode went on: it was truncated after %d steps; set another limit with "
        "--max-episode-steps N (from Python: gym.make(..., max_episode_steps=N))",
        name,
        MAX_EPISODE_STEPS,
    )


def _has_time_limit(env: gym.Env) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            return True
        env = env.env
    return False
