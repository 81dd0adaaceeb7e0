"""Make the environments of a run, and turn Gymnasium's failures into messages for the user."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv, VecNormalize

from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError, MissingDependency
from ganq_irl.rewards import RewardFunction, VecRewardWrapper
from ganq_irl.runs.processes import make_in_worker, may_start_processes, safe_path
from ganq_irl.spaces import check_supported

_HISTORY = 100
"""Episodes that an environment's monitor remembers: as many as SB3 averages over."""
_EXTRAS = {"box2d": "box2d", "mujoco": "mujoco"}


def prepare_drawing() -> None:
    """Set up SDL, which Gymnasium draws with.

    It must not take SIGTERM for a request to close its window, since the process could not be ended then. Without a display
    it draws into memory; otherwise it warns on stderr.
    """
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def probe_env(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> gym.Env:
    """Make one environment, to look at its spaces and metadata or to step it.

    Raises:
        ConfigurationError: the id is unknown, or the environment does not take these keywords.
        MissingDependency: its simulator is not installed.
        IncompatibleSpaces: its spaces are not supported.
    """
    check_env(env_id)
    if (env_kwargs or {}).get("render_mode") == "rgb_array":
        prepare_drawing()
    try:
        env = gym.make(env_id, **(env_kwargs or {}))
    except gym.error.DependencyNotInstalled as error:
        extra = next((extra for word, extra in _EXTRAS.items() if word in str(error).lower()), None)
        advice = f"; install it with: pip install 'ganq-irl[{extra}]'" if extra else ""
        raise MissingDependency(f"{env_id} needs a package that is missing: {error}{advice}") from error
    except Exception as error:
        if not env_kwargs and not isinstance(error, TypeError | gym.error.Error):
            raise  # a bug in the environment
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
    """Return the most steps that a demonstration may have: the registered limit, or a longer one given as a keyword.

    A shorter limit applies to the run alone: longer demonstrations remain valid.
    """
    if env.spec is None:
        return None
    declared = gym.spec(env.spec.id).max_episode_steps
    made_with = env.spec.max_episode_steps
    return None if declared is None or made_with is None else max(declared, made_with)


def _try_out(env: gym.Env, env_id: str, env_kwargs: Mapping[str, Any]) -> None:
    """Reset and step the environment once, since many use a keyword of the wrong type only then.

    Raises:
        ConfigurationError: the step fails, or the render mode is unknown, which Gymnasium does not check.
    """
    modes = env.metadata.get("render_modes", [])
    mode = env_kwargs.get("render_mode")
    if mode is not None and mode not in modes:
        raise ConfigurationError(
            f"env_kwargs.render_mode: given {mode!r}; {env_id} has {', '.join(map(repr, modes)) or 'no render modes'}"
        )
    if mode == "human":
        return  # stepping would open a window
    try:
        env.reset(seed=0)
        env.step(env.action_space.sample())
    except (TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{env_id} fails in its first step with env_kwargs {dict(env_kwargs)} ({type(error).__name__}: {error})"
        ) from error
    except Exception:
        return  # the random action may be the cause; if not, training meets the error again


def make_training_env(
    env_id: str,
    n_envs: int,
    *,
    seed: int,
    env_kwargs: Mapping[str, Any] | None = None,
    normalize_observations: bool = False,
    reward: RewardFunction | None = None,
    vec: str = "dummy",
) -> VecEnv:
    """Make monitored environments, seeded ``seed``, ``seed + 1``, ...

    With ``vec="subproc"`` each lives in a process of its own, and the numbers are the same. The workers of a study cannot
    start processes and keep theirs to themselves.

    ``normalize_observations`` wraps them in VecNormalize, which leaves rewards as they are. ``reward`` replaces the
    environment's reward, which the monitors still report.
    """
    # given an id instead of a function, SB3 asks for a render mode, and Gymnasium warns if an environment has none
    options: dict[str, Any] = {"seed": seed, "wrapper_class": _with_bounded_history}
    if vec == "subproc" and may_start_processes():
        options |= {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "spawn"}}
        with safe_path():
            env: VecEnv = make_vec_env(partial(make_in_worker, env_id, dict(env_kwargs or {})), n_envs, **options)
    else:
        env = make_vec_env(partial(gym.make, env_id, **(env_kwargs or {})), n_envs, **options)
    if reward is not None:
        env = VecRewardWrapper(env, reward)
    return VecNormalize(env, norm_obs=True, norm_reward=False) if normalize_observations else env


def _with_bounded_history(monitor: gym.Env) -> gym.Env:
    """Bound the lists of SB3's Monitor, which keep every episode: nothing reads them, and they grow over a long run."""
    for name in ("episode_returns", "episode_lengths", "episode_times"):
        setattr(monitor, name, deque(getattr(monitor, name), maxlen=_HISTORY))
    return monitor
