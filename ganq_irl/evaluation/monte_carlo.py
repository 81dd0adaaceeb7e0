"""Monte Carlo returns: discounted returns of a policy from the state-action pairs that it visits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation.rollouts import evaluate_returns
from ganq_irl_demos import Trajectory
from ganq_irl_demos.recording.policies import Policy
from ganq_irl_demos.trajectories import observations_of


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


def monte_carlo_returns(
    policy: Policy,
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
    horizon, limit, keywords = _horizon(gamma, tolerance), None, dict(env_kwargs or {})
    if isinstance(env, str):
        limit = keywords.get("max_episode_steps", gym.spec(env).max_episode_steps)
        extra = 0 if math.isinf(horizon) else int(horizon)
        keywords["max_episode_steps"] = None if limit is None else limit + extra
    played = evaluate_returns(policy, env, n_episodes, seed=seed, n_envs=1, env_kwargs=keywords, records=True)
    episodes = played.trajectories
    counts = [_known(episode, horizon, limit) for episode in episodes]
    if not any(counts):
        raise ConfigurationError(
            f"no return is known: all episodes were truncated before γ^k fell to {tolerance} (γ = {gamma}, {horizon:g} "
            "steps); give the environment by its id or with a longer time limit, or a higher tolerance"
        )
    kept = [{**episode.arrays, "returns": discounted_returns(episode.arrays["rewards"], gamma)} for episode in episodes]
    joined = {name: np.concatenate([rows[name][:n] for rows, n in zip(kept, counts, strict=True)]) for name in kept[0]}
    return Visits(observations_of(joined), joined["actions"], joined["returns"])


def discounted_returns(rewards: Sequence[float] | np.ndarray, gamma: float) -> np.ndarray:
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


def _known(episode: Trajectory, horizon: float, limit: int | None) -> int:
    """Return how many of an episode's first pairs have a known return."""
    known = len(episode) if episode.terminated else int(max(0, len(episode) - horizon))
    return known if limit is None else min(known, limit)
