"""Rules for every episode, whoever plays it: finite numbers, finite length, and what follows its last step."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from ganq_irl.errors import EnvironmentFailed

_log = logging.getLogger(__name__)

MAX_EPISODE_STEPS = 1000
"""Steps after which an episode is truncated if its environment declares no time limit."""


class BoundedEpisodes(gym.Wrapper):
    """Truncate episodes after ``MAX_EPISODE_STEPS`` steps, with a warning the first time."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and the step counter."""
        self._steps = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step; truncate the episode at the limit."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        if self._steps >= MAX_EPISODE_STEPS and not terminated and not truncated:
            truncated = True
            _warn_of_no_limit(env_name(self.env))
        return observation, reward, terminated, truncated, info


def bounded(env: gym.Env) -> gym.Env:
    """Return the environment, limited to ``MAX_EPISODE_STEPS`` steps per episode if it declares no time limit."""
    declared = env.spec is not None and env.spec.max_episode_steps is not None
    return env if declared or _has_time_limit(env) else BoundedEpisodes(env)


def require_finite(observation: Any, env: gym.Env | str, when: str) -> None:
    """Check that an observation contains no NaN or infinity.

    Args:
        observation: an array, a dict of arrays, or a batch of either.
        env: the environment or its name, for the message.
        when: time for the message, such as "at step 7".

    Raises:
        EnvironmentFailed: it does; the message names the environment, the step and the field.
    """
    parts = observation.items() if isinstance(observation, Mapping) else [("", observation)]
    for key, value in parts:
        array = np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            name = env if isinstance(env, str) else env_name(env)
            field = f"observations.{key}" if key else "observations"
            raise EnvironmentFailed(
                f"{name} gave {array[~np.isfinite(array)].flat[0]} in {field} {when}; expected finite numbers: check its "
                "reset() and step()"
            )


def copied(observation: Any) -> Any:
    """Return a copy of an array or a dict of arrays, since environments may reuse their buffers."""
    if isinstance(observation, Mapping):
        return {key: np.array(value) for key, value in observation.items()}
    return np.array(observation)


def stacked(observations: Sequence[Any]) -> Any:
    """Stack observations, or dicts of them key by key: ``n`` of ``(*shape)`` -> ``(n, *shape)``."""
    if isinstance(observations[0], Mapping):
        return {key: np.stack([observation[key] for observation in observations]) for key in observations[0]}
    return np.stack(observations)


def transitions_end(
    observations: Any, dones: np.ndarray, infos: Sequence[Mapping[str, Any]], terminal: Callable[[Any], Any] = lambda it: it
) -> tuple[Any, np.ndarray]:
    """Return how the transitions of one step of SB3's vectorized environments end.

    Args:
        observations: what the step returned, ``(n_envs, *shape)`` or a dict; after an episode's end those of the next one.
        dones: whether an episode ended, ``(n_envs,)``.
        infos: of the step, which hold terminal observations and tell time limits from terminations.
        terminal: applied to each terminal observation.

    Returns:
        The observations after the actions, with the terminal one at an episode's end, and whether each step is a true
        termination, ``(n_envs,)`` bool.
    """
    following, terminated = observations, np.array(dones)
    if dones.any():
        following = copied(observations)
        for index in np.flatnonzero(dones).tolist():
            terminated[index] = not infos[index].get("TimeLimit.truncated", False)
            last = terminal(infos[index]["terminal_observation"])
            if isinstance(following, Mapping):
                for key, rows in following.items():
                    rows[index] = last[key]
            else:
                following[index] = last
    return following, terminated


def env_name(env: gym.Env) -> str:
    """Return the Gymnasium id of an environment, or its class name if it is not registered."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


@functools.cache
def _warn_of_no_limit(name: str) -> None:
    _log.warning(
        "%s declares no time limit, so an episode was truncated after %d steps; set another limit with "
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
