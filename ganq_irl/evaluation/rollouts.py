"""Play episodes of a policy under the environment's own reward, each with its own seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from ganq_irl.episodes import bounded, env_name, require_finite
from ganq_irl.errors import ConfigurationError, EnvironmentFailed
from ganq_irl_demos import Trajectory
from ganq_irl_demos.recording.policies import Policy
from ganq_irl_demos.recording.policies import RandomPolicy as OneRandomPolicy
from ganq_irl_demos.recording.recorder import TRAJECTORY, EpisodeRecorder


@dataclass(frozen=True)
class EpisodeStatistics:
    """Returns and lengths of episodes, in the order of their seeds.

    Attributes:
        returns: undiscounted return of each episode, ``(n_episodes,)`` float64.
        lengths: number of steps of each episode, ``(n_episodes,)`` int64.
        trajectories: the episodes themselves, if they were recorded.

    Example:
        >>> episodes = evaluate_returns(ppo, "CartPole-v1", 3)
        >>> episodes.returns.shape, episodes.lengths.dtype
        ((3,), dtype('int64'))
    """

    returns: np.ndarray
    lengths: np.ndarray
    trajectories: tuple[Trajectory, ...] = ()

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.returns)


def evaluate_returns(
    policy: Policy,
    env: str | Callable[..., gym.Env],
    n_episodes: int = 20,
    *,
    seed: int = 0,
    n_envs: int = 8,
    deterministic: bool = True,
    env_kwargs: Mapping[str, Any] | None = None,
    records: bool = False,
) -> EpisodeStatistics:
    """Play episodes with SB3's ``evaluate_policy``; episode ``i`` starts from ``reset(seed=seed + i)``.

    Evaluations are therefore reproducible, and policies are compared from the same initial states. ``n_envs`` does not
    change the seeds, but it changes the batches that the policy gets, which may change the last digit of a network's
    output. If the environment has no time limit, episodes are truncated after ``ganq_irl.episodes.MAX_EPISODE_STEPS``
    steps.

    Args:
        policy: any object with SB3's ``predict``; it gets raw observations.
        env: a Gymnasium id, or a function that makes the environment.
        n_episodes: number of episodes, at least 1.
        seed: seed of the first episode, and of the actions of a stochastic policy.
        n_envs: number of environments that are stepped together.
        deterministic: whether to use the deterministic actions of the policy, as in SB3.
        env_kwargs: keyword arguments of the environment.
        records: whether to keep the trajectories.

    Raises:
        ConfigurationError: ``n_episodes`` or ``n_envs`` is below 1.
        EnvironmentFailed: an observation or a reward is not finite.

    Example:
        >>> evaluate_returns(ppo, "CartPole-v1", n_episodes=3, seed=0).returns.shape
        (3,)
    """
    if n_episodes < 1 or n_envs < 1:
        raise ConfigurationError(f"given {n_episodes} episodes in {n_envs} environments; expected at least 1 of each")
    n_envs = min(n_envs, n_episodes)
    vec_env = _seeded_vec_env(_maker(env, env_kwargs), n_episodes, seed, n_envs, records)
    finished: dict[int, tuple[float, int, Trajectory | None]] = {}

    def collect(locals_: dict[str, Any], _globals: dict[str, Any]) -> None:
        if locals_["done"] and "episode" in locals_["info"]:
            info = locals_["info"]
            finished[info["reset_seed"]] = (info["episode"]["r"], info["episode"]["l"], info.get(TRAJECTORY))

    try:
        # SB3's stochastic policies use torch's global random state: seed a copy and restore the caller's.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            evaluate_policy(policy, vec_env, n_episodes, deterministic=deterministic, callback=collect)
    finally:
        vec_env.close()
    returns, lengths, trajectories = zip(*(finished[key] for key in sorted(finished)), strict=True)
    return EpisodeStatistics(np.array(returns, np.float64), np.array(lengths, np.int64), trajectories if records else ())


def random_returns(
    env: str | Callable[..., gym.Env],
    n_episodes: int = 20,
    *,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
) -> EpisodeStatistics:
    """Play episodes with uniformly random actions, the usual zero of a normalized score.

    Example:
        >>> random_returns("CartPole-v1", n_episodes=3).returns.shape
        (3,)
    """
    probe = _maker(env, env_kwargs)()
    policy = RandomPolicy(probe.action_space, seed)
    probe.close()
    return evaluate_returns(policy, env, n_episodes, seed=seed, env_kwargs=env_kwargs)


class RandomPolicy(OneRandomPolicy):
    """Random policy for a batch of environments.

    Example:
        >>> policy = RandomPolicy(env.action_space, seed=0)
        >>> evaluate_returns(policy, "CartPole-v1", 2).returns.shape
        (2,)
    """

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Return a random action for each observation of a batch, ``(batch, *action_shape)``."""
        first = next(iter(observation.values())) if isinstance(observation, dict) else observation
        return np.stack([self.action_space.sample() for _ in range(len(first))]), state


class _SeededEpisodes(gym.Wrapper):
    """Start episodes from given seeds in order, add the seed to ``info``, and raise an error on NaN."""

    def __init__(self, env: gym.Env, seeds: range) -> None:
        super().__init__(env)
        self._seeds = iter(seeds)
        self._seed: int | None = None
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._seed, self._steps = next(self._seeds, None), 0
        observation, info = self.env.reset(seed=self._seed, options=options)
        require_finite(observation, self.env, self._when())
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        require_finite(observation, self.env, self._when())
        if not np.isfinite(float(reward)):
            raise EnvironmentFailed(f"{env_name(self.env)} gave a reward of {reward} {self._when()}; look at its step()")
        return observation, reward, terminated, truncated, {**info, "reset_seed": self._seed}

    def _when(self) -> str:
        return f"at step {self._steps} of the episode from seed {self._seed}"


def _seeded_vec_env(make: Callable[[], gym.Env], n_episodes: int, seed: int, n_envs: int, records: bool) -> DummyVecEnv:
    """Make monitored environments, each with as many consecutive seeds as ``evaluate_policy`` plays episodes on it."""
    counts = [(n_episodes + i) // n_envs for i in range(n_envs)]
    bounds = np.cumsum([seed, *counts]).tolist()
    recorded: Callable[[gym.Env], gym.Env] = EpisodeRecorder if records else lambda env: env

    def member(seeds: range) -> Callable[[], gym.Env]:
        return lambda: _SeededEpisodes(recorded(Monitor(bounded(make()))), seeds)

    return DummyVecEnv([member(range(first, end)) for first, end in pairwise(bounds)])


def _maker(env: str | Callable[..., gym.Env], env_kwargs: Mapping[str, Any] | None) -> Callable[[], gym.Env]:
    make = partial(gym.make, env) if isinstance(env, str) else env
    return partial(make, **(env_kwargs or {}))
