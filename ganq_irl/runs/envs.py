"""Environments of a run: found, made and wrapped, with every failure of Gymnasium turned into a sentence."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError, MissingDependency
from ganq_irl.rewards import RewardFunction, VecRewardWrapper
from ganq_irl.spaces import check_supported

_HISTORY = 100
"""Episodes that an environment's monitor remembers, as many as SB3 averages over."""
_EXTRAS = {"box2d": "box2d", "mujoco": "mujoco"}


def draw_off_screen() -> None:
    """Let SDL, with which Gymnasium draws, draw into memory where there is no display; it complains on stderr otherwise."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def probe_env(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> gym.Env:
    """Make one environment.

    Raises:
        ConfigurationError: it is unknown, or does not take these keywords.
        MissingDependency: the simulator behind it is not installed.
        IncompatibleSpaces: its spaces are of a kind that is not supported.
    """
    check_env(env_id)
    if (env_kwargs or {}).get("render_mode") == "rgb_array":
        draw_off_screen()
    try:
        env = gym.make(env_id, **(env_kwargs or {}))
    except gym.error.DependencyNotInstalled as error:
        extra = next((extra for word, extra in _EXTRAS.items() if word in str(error).lower()), None)
        advice = f"; install it with: pip install 'ganq-irl[{extra}]'" if extra else ""
        raise MissingDependency(f"{env_id} needs a package that is missing: {error}{advice}") from error
    except Exception as error:
        if not env_kwargs and not isinstance(error, TypeError | gym.error.Error):
            raise  # a fault of the environment's own
        raise ConfigurationError(f"{env_id} cannot be made with env_kwargs {dict(env_kwargs or {})}: {error}") from error
    try:
        if env_kwargs:
            _try_out(env, env_id, env_kwargs)
        check_supported(env.observation_space, env.action_space)
    except Exception:
        env.close()
        raise
    return env


def time_limit(env: gym.Env) -> int | None:
    """Steps that a demonstration of the environment may have: its declared limit, or a longer one that it was made with.

    A shorter one bounds a run alone: longer demonstrations are as good as before.
    """
    if env.spec is None:
        return None
    declared = gym.spec(env.spec.id).max_episode_steps
    made_with = env.spec.max_episode_steps
    return None if declared is None or made_with is None else max(declared, made_with)


def _try_out(env: gym.Env, env_id: str, env_kwargs: Mapping[str, Any]) -> None:
    """Raise unless the environment resets and steps: many keep a keyword of the wrong type until they use it.

    Raises:
        ConfigurationError: it does not, or has no such render mode, which Gymnasium lets pass.
    """
    modes = env.metadata.get("render_modes", [])
    mode = env_kwargs.get("render_mode")
    if mode is not None and mode not in modes:
        raise ConfigurationError(
            f"env_kwargs.render_mode: given {mode!r}; {env_id} has {', '.join(map(repr, modes)) or 'no render modes'}"
        )
    if mode == "human":
        return  # a step would open a window
    try:
        env.reset(seed=0)
        env.step(env.action_space.sample())
    except (TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{env_id} fails in its first step with env_kwargs {dict(env_kwargs)} ({type(error).__name__}: {error})"
        ) from error
    except Exception:
        return  # it may be due to the random action; where it is not, training meets it again


def make_training_env(
    env_id: str,
    n_envs: int,
    *,
    seed: int,
    env_kwargs: Mapping[str, Any] | None = None,
    normalize_observations: bool = False,
    reward: RewardFunction | None = None,
) -> VecEnv:
    """Monitored environments in one process, seeded ``seed``, ``seed + 1``, ...

    ``normalize_observations`` wraps them in VecNormalize and leaves rewards as they are: a learned reward
    is priced elsewhere. ``reward`` pays instead of the environments' own, which their monitors still report.
    """
    probe_env(env_id, env_kwargs).close()
    # by a function: given an id, SB3 asks every environment to draw images, at which those that cannot have Gymnasium warn
    make = partial(gym.make, env_id, **(env_kwargs or {}))
    env: VecEnv = make_vec_env(make, n_envs, seed=seed, wrapper_class=_with_bounded_history)
    if reward is not None:
        env = VecRewardWrapper(env, reward)
    return VecNormalize(env, norm_obs=True, norm_reward=False) if normalize_observations else env


def _with_bounded_history(monitor: gym.Env) -> gym.Env:
    """SB3's Monitor keeps a row of every episode that it ever saw, which nothing reads and a long run would pay for."""
    for name in ("episode_returns", "episode_lengths", "episode_times"):
        setattr(monitor, name, deque(getattr(monitor, name), maxlen=_HISTORY))
    return monitor
