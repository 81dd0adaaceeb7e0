"""Record episodes of a policy in an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.episodes import bounded
from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl.spaces import check_supported
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.recording.policies import Policy
from ganq_irl_demos.recording.recorder import TRAJECTORY, EpisodeRecorder
from ganq_irl_demos.trajectories import Trajectory

MAX_TRIES = 20
"""Maximum number of episodes tried per requested one before ``min_return`` counts as out of reach."""


def record_episodes(
    policy: Policy,
    env: gym.Env,
    n_episodes: int,
    *,
    seed: int,
    deterministic: bool = True,
    min_return: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Demonstrations:
    """Record complete episodes.

    Actions are recorded as executed: Box actions are clipped to the space, as in Stable-Baselines3. Values are copied at
    every step, so environments may reuse their buffers. If the environment has no time limit, episodes are truncated after
    ``ganq_irl.episodes.MAX_EPISODE_STEPS`` steps.

    Args:
        policy: any object with Stable-Baselines3's ``predict``, including recurrent policies.
        env: a single Gymnasium environment; ``env.spec``, if present, gives the ID.
        n_episodes: number of episodes to keep, at least 1.
        seed: attempt i is reset with ``seed + i``, which its trajectory stores.
        deterministic: argument of ``predict``.
        min_return: episodes with a lower return are dropped.
        progress: called as ``progress(kept, n_episodes)`` before the first episode and after each attempt.
        provenance: JSON values to add to the recorded seed, deterministic, min_return, kept, tried, versions.

    Raises:
        ConfigurationError: a vectorized or normalizing environment, or fewer than one episode.
        EnvironmentFailed: an observation is not finite.
        IncompatibleSpaces: demonstrations do not support the spaces.
        InvalidDemonstrations: too few of 20 attempts per requested episode reached ``min_return``.

    Example:
        >>> recorded = record_episodes(ppo, env, n_episodes=2, seed=0)
        >>> len(recorded), recorded.env_id
        (2, 'CartPole-v1')
    """
    _check_request(env, n_episodes)
    recorder = EpisodeRecorder(bounded(env))
    if progress is not None:
        progress(0, n_episodes)
    kept: list[Trajectory] = []
    returns: list[float] = []
    while len(kept) < n_episodes:
        if len(returns) >= MAX_TRIES * n_episodes:
            raise InvalidDemonstrations(
                f"only {len(kept)} of {len(returns)} episodes reached a return of {min_return}, but {n_episodes} were "
                f"requested; the best was {max(returns):.6g}, the median {np.median(returns):.6g}. Lower min_return or "
                "train longer"
            )
        trajectory = _record_one(policy, recorder, seed + len(returns), deterministic)
        assert trajectory.episode_return is not None
        returns.append(trajectory.episode_return)
        if min_return is None or returns[-1] >= min_return:
            kept.append(trajectory)
        if progress is not None:
            progress(len(kept), n_episodes)
    noted = {
        "seed": seed,
        "deterministic": deterministic,
        "min_return": min_return,
        "kept": len(kept),
        "tried": len(returns),
    }
    return Demonstrations(
        trajectories=tuple(kept),
        observation_space=env.observation_space,
        action_space=env.action_space,
        env_id=env.spec.id if env.spec is not None else None,
        provenance={**noted, "versions": {"gymnasium": gym.__version__, "numpy": np.__version__}, **(provenance or {})},
        source="recorded episodes",
    )


def _check_request(env: gym.Env, n_episodes: int) -> None:
    if n_episodes < 1:
        raise ConfigurationError(f"n_episodes is {n_episodes}; record at least one")
    if not isinstance(env, gym.Env) or isinstance(env.unwrapped, gym.vector.VectorEnv):
        raise ConfigurationError(f"expected a single Gymnasium environment, given {type(env).__name__}; use gym.make(...)")
    check_supported(env.observation_space, env.action_space)
    inner: Any = env
    while isinstance(inner, gym.Wrapper):
        if isinstance(inner, gym.wrappers.NormalizeReward | gym.wrappers.NormalizeObservation):
            raise ConfigurationError(
                f"the environment is wrapped in {type(inner).__name__}, whose statistics drift while recording; "
                "record without it (a policy can normalize its own inputs)"
            )
        inner = inner.env


def _record_one(policy: Policy, env: EpisodeRecorder, seed: int, deterministic: bool) -> Trajectory:
    observation, info = env.reset(seed=seed)
    state = None
    while TRAJECTORY not in info:
        starts = np.array([not env.actions])
        action, state = policy.predict(observation, state=state, episode_start=starts, deterministic=deterministic)
        observation, _, _, _, info = env.step(_executable(action, env.action_space))
    return info[TRAJECTORY]


def _executable(action: Any, space: spaces.Space) -> Any:
    fitting = np.asarray(action, dtype=space.dtype).reshape(space.shape or ())
    return np.clip(fitting, space.low, space.high) if isinstance(space, spaces.Box) else fitting[()]
