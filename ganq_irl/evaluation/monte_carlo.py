"""Monte Carlo returns: discounted returns of a policy from the state-action pairs that it visits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl.episodes import bounded, copied, stacked
from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation.rollouts import Predictor


@dataclass(frozen=True)
class Visits:
    """State-action pairs that a policy visited, with the discounted return from each.

    Attributes:
        observations: raw observations, ``(n, *observation_shape)``, or one such array for each key of a Dict space.
        actions: ``(n, *action_shape)``.
        returns: Monte Carlo return Σ γ^t r_t from each pair, ``(n,)`` float64.

    Example:
        >>> visits = monte_carlo_returns(ppo, "CartPole-v1", gamma=0.9, n_episodes=2)
        >>> visits.observations.shape[1:], len(visits.actions) == len(visits.returns)
        ((4,), True)
    """

    observations: Any
    actions: np.ndarray
    returns: np.ndarray

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.returns)


@dataclass(frozen=True)
class _Episode:
    observations: list[Any]
    actions: list[np.ndarray]
    rewards: list[float]
    terminated: bool


def monte_carlo_returns(
    policy: Predictor,
    env: str | Callable[..., gym.Env],
    gamma: float,
    n_episodes: int = 20,
    *,
    seed: int = 0,
    tolerance: float = 1e-2,
    env_kwargs: Mapping[str, Any] | None = None,
) -> Visits:
    """Play deterministic episodes and compute the discounted return from each visited pair.

    A time limit is not termination, and values do not include it. An environment given by its id is therefore played h
    steps beyond its limit, with γ^h ≤ ``tolerance``; only pairs up to the limit are kept. If an episode is truncated
    anyway, its last h pairs are left out, because their return is not known to that precision.

    Args:
        policy: any object with SB3's ``predict``; it gets raw observations.
        env: a Gymnasium id, or a function that makes the environment, which is played without changes.
        gamma: discount of the learned values, in [0, 1]; with 1, only terminated episodes have a return.
        n_episodes: at least 1; episode ``i`` starts from ``reset(seed=seed + i)``.
        seed: seed of the first episode.
        tolerance: share of the value that may lie beyond the played steps.
        env_kwargs: keyword arguments of the environment.

    Raises:
        ConfigurationError: an argument is out of range, or no pair has a known return.

    Example:
        >>> visits = monte_carlo_returns(ppo, "CartPole-v1", gamma=0.9, n_episodes=2)
        >>> bool((visits.returns <= 10).all())  # a reward of 1 per step is worth at most 1 / (1 - 0.9)
        True
    """
    if n_episodes < 1 or not 0 <= gamma <= 1 or not 0 < tolerance < 1:
        raise ConfigurationError(
            f"given n_episodes={n_episodes}, gamma={gamma}, tolerance={tolerance}; expected at least one episode, a "
            "discount in [0, 1] and a tolerance between 0 and 1"
        )
    horizon = _horizon(gamma, tolerance)
    environment, limit = _without_time_limit(env, horizon, dict(env_kwargs or {}))
    try:
        episodes = [_play(policy, environment, seed + i) for i in range(n_episodes)]
    finally:
        environment.close()
    counts = [_known(episode, horizon, limit) for episode in episodes]
    if not any(counts):
        raise ConfigurationError(
            f"no return is known: all episodes were truncated before γ^k fell to {tolerance} (γ = {gamma}, {horizon:g} "
            "steps); give the environment by its id or with a longer time limit, or a higher tolerance"
        )
    kept = list(zip(episodes, counts, strict=True))
    return Visits(
        observations=stacked([observation for e, count in kept for observation in e.observations[:count]]),
        actions=np.stack([action for e, count in kept for action in e.actions[:count]]),
        returns=np.concatenate([discounted_returns(e.rewards, gamma)[:count] for e, count in kept]),
    )


def discounted_returns(rewards: Sequence[float], gamma: float) -> np.ndarray:
    """Return G_t = r_t + γ G_{t+1} for every step of an episode, ``(n_steps,)`` float64."""
    returns = np.zeros(len(rewards) + 1)
    for t in reversed(range(len(rewards))):
        returns[t] = rewards[t] + gamma * returns[t + 1]
    return returns[:-1]


def _horizon(gamma: float, tolerance: float) -> float:
    """Return the number of steps k after which γ^k ≤ tolerance; infinity for γ = 1."""
    if gamma == 1:
        return math.inf
    return 1 if gamma <= tolerance else math.ceil(math.log(tolerance) / math.log(gamma))


def _known(episode: _Episode, horizon: float, limit: int | None) -> int:
    """Return how many of an episode's first pairs have a known return."""
    steps = len(episode.rewards)
    known = steps if episode.terminated else int(max(0, steps - horizon))
    return known if limit is None else min(known, limit)


def _without_time_limit(
    env: str | Callable[..., gym.Env], horizon: float, env_kwargs: dict[str, Any]
) -> tuple[gym.Env, int | None]:
    """Return the environment, with a time limit longer by ``horizon`` if both are known, and its original limit."""
    if not isinstance(env, str):
        return bounded(env(**env_kwargs)), None
    limit = env_kwargs.pop("max_episode_steps", gym.spec(env).max_episode_steps)
    longer = None if limit is None else limit + (0 if math.isinf(horizon) else int(horizon))
    return bounded(gym.make(env, max_episode_steps=longer, **env_kwargs)), limit


def _play(policy: Predictor, env: gym.Env, seed: int) -> _Episode:
    observation, _ = env.reset(seed=seed)
    episode: dict[str, list[Any]] = {"observations": [], "actions": [], "rewards": []}
    state, terminated, truncated = None, False, False
    while not (terminated or truncated):
        batch = stacked([observation])
        first = np.array([not episode["rewards"]])
        actions, state = policy.predict(batch, state=state, episode_start=first, deterministic=True)
        episode["observations"].append(copied(observation))
        episode["actions"].append(np.array(actions[0]))
        observation, reward, terminated, truncated, _ = env.step(actions[0])
        episode["rewards"].append(float(reward))
    return _Episode(**episode, terminated=terminated)
