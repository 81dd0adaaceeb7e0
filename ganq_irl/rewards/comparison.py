"""Compare two rewards without training a policy: the EPIC distance, and correlations over given transitions.

A recovered reward can differ from the true one by potential shaping γΦ(s') - Φ(s) and by a positive factor without changing
which policies are optimal (Ng et al., 1999), so both rewards are made canonical before they are compared.

**Termination.** The potential of a terminal state is 0, as everywhere in this toolkit: shaping is γ(1-d)Φ(s') - Φ(s). A
constant reward c is therefore *not* equivalent to zero if episodes can terminate, because terminating loses c/(1-γ): a
survival bonus counts as a difference. If no given transition terminates, constants do not matter, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy  # its submodules are imported when they are first used
import torch
from torch import Tensor

from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards.functions import RewardFunction, rewards_of
from ganq_irl.types import Batch, Observations

_ROWS = 262_144  # priced at once
_NEGLIGIBLE = 1e-5  # relative to the largest reward: smaller variation is the rounding error of a constant


@dataclass(frozen=True)
class Coverage:
    """Samples of the coverage distribution, to which a distance is relative.

    Attributes:
        transitions: samples of D, over which canonical rewards are correlated.
        states: samples of D_S, ``(m, *shape)``; means over states are taken over these.
        actions: samples of D_A, ``(m, *shape)``, independent of ``states``; each is paired with one state.

    Example:
        >>> coverage = Coverage.sampled(demos.to_batch(), np.random.default_rng(0), n_transitions=500, n_canonical=64)
        >>> coverage.states.shape
        torch.Size([64, 4])
    """

    transitions: Batch
    states: Observations
    actions: Tensor

    @classmethod
    def sampled(
        cls, transitions: Batch, rng: np.random.Generator, *, n_transitions: int = 2048, n_canonical: int = 256
    ) -> Coverage:
        """Take D from ``transitions``, and D_S and D_A as its marginals: states and actions are drawn independently.

        Args:
            transitions: for example those of random, expert and learned policies together.
            rng: random generator that draws the rows.
            n_transitions: number of rows of D; all rows if there are fewer.
            n_canonical: number of states and of actions that the canonical reward averages over.

        Raises:
            ConfigurationError: there are no transitions, or a number is below 1.
        """
        size = len(transitions)
        if min(size, n_transitions, n_canonical) < 1:
            raise ConfigurationError(
                f"given {size} transitions, n_transitions={n_transitions}, n_canonical={n_canonical}; expected at least 1"
            )
        rows = rng.permutation(size)[:n_transitions]
        states, actions = (rng.choice(size, n_canonical, replace=n_canonical > size) for _ in range(2))
        marginal = transitions[torch.as_tensor(states)]
        return cls(transitions[torch.as_tensor(rows)], marginal.observations, transitions.actions[torch.as_tensor(actions)])


def canonical_reward(reward: RewardFunction, coverage: Coverage, discount: float) -> np.ndarray:
    """Return EPIC's canonically shaped reward of the coverage's transitions, ``(n,)`` (Gleave et al., 2021, definition 4.1).

    C(R)(s,a,s',d) = R(s,a,s',d) + γ(1-d) M(s') - M(s) - k M̄ with M(s) = E R(s,A,S') and M̄ = E M(S), expectations over D_S
    and D_A. k is γ, or γ/(1-γ) where d = 1. With this k, C is a shaping of R whose potential is 0 in terminal states, so
    all equivalent rewards have the same C. This also holds exactly for samples of D_S and D_A.

    Args:
        reward: R.
        coverage: D, D_S and D_A.
        discount: γ in [0, 1).

    Raises:
        ConfigurationError: γ is outside [0, 1).

    Example:
        >>> coverage = Coverage.sampled(batch, np.random.default_rng(0), n_canonical=16)
        >>> canonical_reward(reward, coverage, discount=0.99).shape
        (64,)
    """
    if not 0 <= discount < 1:
        raise ConfigurationError(f"discount: given {discount}, expected a number in [0, 1)")
    batch = coverage.transitions
    dones = batch.dones.double().cpu().numpy()
    mean_here, mean_next = (_mean_rewards(reward, rows, coverage) for rows in (batch.observations, batch.next_observations))
    overall = _mean_rewards(reward, coverage.states, coverage).mean()
    weight = np.where(dones == 1, discount / (1 - discount), discount)
    return rewards_of(reward, batch) + discount * (1 - dones) * mean_next - mean_here - weight * overall


def epic_distance(first: RewardFunction, second: RewardFunction, coverage: Coverage, discount: float) -> float:
    """Return the EPIC distance of two rewards, from 0 to 1 (Gleave et al., 2021, definition 4.7).

    It is 0 for rewards that differ by shaping and a positive factor, sqrt(1/2) for unrelated ones and 1 for opposite ones.
    It evaluates rewards on random pairs of states, which may be impossible in the environment and on which a learned reward
    can be arbitrary: choose a wide D.

    Args:
        first: one reward.
        second: the other reward; the distance is symmetric.
        coverage: the coverage distribution. Distances over different coverages are not comparable.
        discount: the environment's γ, in [0, 1).

    Example:
        >>> coverage = Coverage.sampled(batch, np.random.default_rng(0), n_canonical=16)
        >>> round(epic_distance(reward, reward, coverage, discount=0.99), 3)
        0.0
    """
    return pearson_distance(*(_canonical_without_noise(reward, coverage, discount) for reward in (first, second)))


def epic_distances(
    rewards: Mapping[str, RewardFunction], coverage: Coverage, discount: float
) -> dict[str, dict[str, float]]:
    """Return ``epic_distance`` for all pairs of rewards as name -> name -> distance.

    Example:
        >>> coverage = Coverage.sampled(batch, np.random.default_rng(0), n_canonical=16)
        >>> other = GAIL(ppo, demos, seed=1).recovered_reward()
        >>> distances = epic_distances({"one": reward, "other": other}, coverage, discount=0.99)
        >>> 0 <= distances["one"]["other"] <= 1
        True
    """
    canonical = {name: _canonical_without_noise(reward, coverage, discount) for name, reward in rewards.items()}
    return {a: {b: pearson_distance(first, second) for b, second in canonical.items()} for a, first in canonical.items()}


def pearson_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return sqrt((1 - ρ) / 2), from 0 to 1. It is 0 for two constants; for one constant, ρ counts as 0.

    Example:
        >>> round(pearson_distance(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])), 3)
        1.0
    """
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return 0.0
    correlation = pearson(first, second)
    return float(np.sqrt(max(0.0, 1 - (correlation or 0.0)) / 2))


def pearson(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Pearson's correlation of two rewards of the same transitions, or None if one is constant.

    Example:
        >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])), 3)
        1.0
    """
    return _unless_constant(first, second, lambda: float(np.corrcoef(first, second)[0, 1]))


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's rank correlation, which ignores increasing transforms, or None if one reward is constant.

    Example:
        >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])), 3)
        1.0
    """
    return _unless_constant(first, second, lambda: float(scipy.stats.spearmanr(first, second).statistic))


def _unless_constant(first: np.ndarray, second: np.ndarray, correlation: Callable[[], float]) -> float | None:
    is_constant = any(len(values) < 2 or np.ptp(values) <= 1e-7 * np.abs(values).max() for values in (first, second))
    return None if is_constant else correlation()


def _canonical_without_noise(reward: RewardFunction, coverage: Coverage, discount: float) -> np.ndarray:
    canonical = canonical_reward(reward, coverage, discount)
    scale = np.abs(rewards_of(reward, coverage.transitions)).max()
    return np.zeros_like(canonical) if np.ptp(canonical) <= _NEGLIGIBLE * scale else canonical


def _mean_rewards(reward: RewardFunction, states: Observations, coverage: Coverage) -> np.ndarray:
    """Return M(s) of each state, ``(n,)``, the mean over all sampled pairs of an action and a next state."""
    n, m = _length(states), len(coverage.actions)
    means = []
    for start in range(0, n, step := max(1, _ROWS // m)):
        rows = range(start, min(start + step, n))
        here = torch.arange(rows.start, rows.stop).repeat_interleave(m)
        there = torch.arange(m).repeat(len(rows))
        batch = Batch(
            _select(states, here), coverage.actions[there], _select(coverage.states, there), torch.zeros(len(rows) * m)
        )
        means.append(rewards_of(reward, batch).reshape(len(rows), m).mean(axis=1))
    return np.concatenate(means)


def _select(observations: Observations, index: Tensor) -> Observations:
    if isinstance(observations, dict):
        return {key: value[index] for key, value in observations.items()}
    return observations[index]


def _length(observations: Observations) -> int:
    return len(next(iter(observations.values())) if isinstance(observations, dict) else observations)
