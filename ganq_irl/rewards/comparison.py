"""How alike two rewards are, whatever policies they lead to: EPIC, and correlations over given transitions.

A recovered reward can differ from the true one by a potential's shaping γΦ(s') - Φ(s) and by a positive factor without
changing which policies are good (Ng et al., 1999), so the two are made canonical before they are compared.

**Termination.** The potential of a terminal state is 0, as everywhere in this toolkit: shaping is γ(1-d)Φ(s') - Φ(s).
With it a constant reward c is *not* equivalent to none where episodes can end: to end one is to lose c/(1-γ). So a survival
bonus counts as a difference. Where no transition given terminates, all is as in the paper and a constant is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards.functions import RewardFunction, rewards_of
from ganq_irl.types import Batch, Observations

_ROWS = 262_144  # priced at once
_NEGLIGIBLE = 1e-5  # of the largest reward: a canonical reward that varies less is the rounding of a constant's


@dataclass(frozen=True)
class Coverage:
    """The coverage distribution that a distance is relative to, as samples of it.

    Attributes:
        transitions: D, over which canonical rewards are correlated.
        states: draws of D_S, ``(m, *shape)``; the mean over states is taken over these.
        actions: draws of D_A, ``(m, *shape)``, independent of ``states``, each paired with one.
    """

    transitions: Batch
    states: Observations
    actions: Tensor

    @classmethod
    def sampled(
        cls, transitions: Batch, rng: np.random.Generator, *, n_transitions: int = 2048, n_canonical: int = 256
    ) -> Coverage:
        """D is what ``transitions`` hold, and D_S and D_A its marginals: s and a drawn independently from its rows.

        Args:
            transitions: such as those of random, expert and learned policies together.
            rng: draws the rows.
            n_transitions: rows of D; all of them where there are fewer.
            n_canonical: states, and actions, that the canonical reward averages over.

        Raises:
            ConfigurationError: no transitions, or fewer than one sample of either.
        """
        size = len(transitions)
        if min(size, n_transitions, n_canonical) < 1:
            raise ConfigurationError(
                f"given {size} transitions, n_transitions={n_transitions}, n_canonical={n_canonical}; expected 1 of each"
            )
        rows = rng.permutation(size)[:n_transitions]
        states, actions = (rng.choice(size, n_canonical, replace=n_canonical > size) for _ in range(2))
        marginal = transitions[torch.as_tensor(states)]
        return cls(transitions[torch.as_tensor(rows)], marginal.observations, transitions.actions[torch.as_tensor(actions)])


def canonical_reward(reward: RewardFunction, coverage: Coverage, discount: float) -> np.ndarray:
    """EPIC's canonically shaped reward of the coverage's transitions, ``(n,)`` (Gleave et al., 2021, definition 4.1).

    C(R)(s,a,s',d) = R(s,a,s',d) + γ(1-d) M(s') - M(s) - k M̄ with M(s) = E R(s,A,S'), M̄ = E M(S), the expectations over
    D_S and D_A. k is γ, and γ/(1-γ) where d = 1: the value at which C is a shaping of R with potential 0 in terminal states,
    so that every reward of one equivalence class has one C. With samples of D_S and D_A that holds exactly, too.

    Args:
        reward: R.
        coverage: D, D_S and D_A.
        discount: γ in [0, 1).

    Raises:
        ConfigurationError: γ is out of its range.
    """
    if not 0 <= discount < 1:
        raise ConfigurationError(f"discount: given {discount}, expected a number from 0 to below 1")
    batch = coverage.transitions
    dones = batch.dones.double().cpu().numpy()
    mean_here, mean_next = (_mean_rewards(reward, rows, coverage) for rows in (batch.observations, batch.next_observations))
    overall = _mean_rewards(reward, coverage.states, coverage).mean()
    weight = np.where(dones == 1, discount / (1 - discount), discount)
    return rewards_of(reward, batch) + discount * (1 - dones) * mean_next - mean_here - weight * overall


def epic_distance(first: RewardFunction, second: RewardFunction, coverage: Coverage, discount: float) -> float:
    """EPIC pseudometric of two rewards, 0 to 1 (Gleave et al., 2021, definition 4.7).

    0 for rewards that differ by shaping and a positive factor, sqrt(1/2) for unrelated ones, 1 for opposite ones. The random
    pairs of states in it may be impossible in the environment, where a learned reward says anything: take D wide.

    Args:
        first: a reward.
        second: the other; it makes no difference which is which.
        coverage: what the distance is relative to; distances of different coverages do not compare.
        discount: γ in [0, 1), the environment's.
    """
    return pearson_distance(*(_canonical_without_noise(reward, coverage, discount) for reward in (first, second)))


def epic_distances(
    rewards: Mapping[str, RewardFunction], coverage: Coverage, discount: float
) -> dict[str, dict[str, float]]:
    """``epic_distance`` between every two of several rewards, each made canonical once: name -> name -> distance."""
    canonical = {name: _canonical_without_noise(reward, coverage, discount) for name, reward in rewards.items()}
    return {a: {b: pearson_distance(first, second) for b, second in canonical.items()} for a, first in canonical.items()}


def pearson_distance(first: np.ndarray, second: np.ndarray) -> float:
    """sqrt((1 - ρ) / 2), 0 to 1; of two constants 0, of a constant and anything else that of ρ = 0."""
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return 0.0
    correlation = pearson(first, second)
    return float(np.sqrt(max(0.0, 1 - (correlation or 0.0)) / 2))


def pearson(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's correlation of two rewards of the same transitions; None where one is the same everywhere."""
    return _unless_constant(first, second, lambda: float(np.corrcoef(first, second)[0, 1]))


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation: blind to any increasing transform; None where one reward is the same everywhere."""
    return _unless_constant(first, second, lambda: float(spearmanr(first, second).statistic))


def _unless_constant(first: np.ndarray, second: np.ndarray, correlation: Callable[[], float]) -> float | None:
    is_constant = any(len(values) < 2 or np.ptp(values) <= 1e-7 * np.abs(values).max() for values in (first, second))
    return None if is_constant else correlation()


def _canonical_without_noise(reward: RewardFunction, coverage: Coverage, discount: float) -> np.ndarray:
    canonical = canonical_reward(reward, coverage, discount)
    scale = np.abs(rewards_of(reward, coverage.transitions)).max()
    return np.zeros_like(canonical) if np.ptp(canonical) <= _NEGLIGIBLE * scale else canonical


def _mean_rewards(reward: RewardFunction, states: Observations, coverage: Coverage) -> np.ndarray:
    """M(s) of each state, ``(n,)``: every pair of an action and a next state after every one of ``states``."""
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
