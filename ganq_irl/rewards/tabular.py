"""Compare rewards in tabular environments: EPIC over exact coverage, STARC, and the regret of a recovered reward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ganq_irl.environments.tabular import TabularEnv
from ganq_irl.environments.value_iteration import check_discount, value_iteration
from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards.comparison import Coverage
from ganq_irl.rewards.functions import RewardFunction, rewards_of
from ganq_irl.types import Batch


def enumerated_coverage(env: TabularEnv) -> Coverage:
    """Return a coverage with each (s, a, s') once, s not terminal, and uniform D_S and D_A, for which EPIC is exact."""
    going = np.flatnonzero(~env.terminal)
    n_states, n_actions = env.R.shape
    states, actions, following = _grid(going, np.arange(n_actions), np.arange(n_states))
    dones = torch.as_tensor(env.terminal)[following].float()
    paired = _grid(np.arange(n_actions), going)
    return Coverage(Batch(states, actions, following, dones), paired[1], paired[0])


def reward_table(reward: RewardFunction, env: TabularEnv) -> np.ndarray:
    """Return the expected reward R(s, a) in a tabular environment, ``(S, A)``; 0 in terminal states."""
    return _expected(_full_table(reward, env), env)


def starc_distance(first: RewardFunction, second: RewardFunction, env: TabularEnv, discount: float) -> float:
    """Return the STARC distance of two rewards in an environment, from 0 to 1 (Skalse et al., 2024, definitions 1 to 3).

    The canonical reward is value-adjusted levelling under the uniformly random policy π, c(R)(s,a) = E[R(s,a,S') + γ(1-d)
    V^π(S')] - V^π(s), the advantage of that policy. The norm is L2 over all state-action pairs of non-terminal states, and
    the distance is half the L2 distance of the normalized rewards. Unlike EPIC it uses only transitions that can happen.

    Args:
        first: one reward.
        second: the other reward.
        env: the environment.
        discount: γ in [0, 1).
    """
    canonical = [_advantage(_full_table(reward, env), env, discount) for reward in (first, second)]
    return float(np.linalg.norm(canonical[0] - canonical[1]) / 2)


@dataclass(frozen=True)
class Regret:
    """Loss of true discounted return, from the start state, of the policy that is optimal for a recovered reward.

    Attributes:
        achieved: true return of that policy.
        best: true return of the optimal policy.
        worst: true return of the worst policy.
    """

    achieved: float
    best: float
    worst: float

    @property
    def normalized(self) -> float:
        """(best - achieved) / (best - worst): 0 for no loss, 1 for the worst policy; 0 if all policies are equal."""
        span = self.best - self.worst
        return 0.0 if span <= 1e-9 * max(1.0, abs(self.best)) else (self.best - self.achieved) / span


def regret(recovered: RewardFunction, env: TabularEnv, discount: float) -> Regret:
    """Return the regret of the policy that is optimal for ``recovered`` in ``env``, by value iteration.

    Of actions that are equally good under the recovered reward, the first is taken.
    """
    _, policy = value_iteration(env.P, reward_table(recovered, env), discount, env.terminal)
    best, _ = env.optimum(discount)
    worst, _ = value_iteration(env.P, -env.R, discount, env.terminal)
    achieved = policy_values(env, np.eye(env.R.shape[1])[policy], env.R, discount)
    return Regret(float(achieved[env.start]), float(best[env.start].max()), float(-worst[env.start].max()))


def policy_values(env: TabularEnv, policy: np.ndarray, rewards: np.ndarray, discount: float) -> np.ndarray:
    """Return V^π ``(S,)`` of a policy ``(S, A)`` under rewards ``(S, A)``. Solves V = R_π + γ P_π V."""
    check_discount(discount)
    going = ~env.terminal
    chances = np.where(going[:, None], policy, 0.0)
    moves = np.einsum("sa,sat->st", chances, np.where(going[:, None, None], env.P, 0.0)) * going
    return np.linalg.solve(np.eye(len(going)) - discount * moves, (chances * rewards).sum(axis=1))


def _advantage(table: np.ndarray, env: TabularEnv, discount: float) -> np.ndarray:
    """Return the uniform policy's advantage under a table ``(S, A, S)``, with L2 norm 1, or zeros if it vanishes."""
    rewards = _expected(table, env)
    uniform = np.full(rewards.shape, 1 / rewards.shape[1])
    values = policy_values(env, uniform, rewards, discount)
    advantage = (rewards + discount * env.P @ values - values[:, None])[~env.terminal]
    norm = np.linalg.norm(advantage)
    return advantage / norm if norm > 1e-6 * max(np.abs(rewards).max(), 1e-12) else np.zeros_like(advantage)


def _expected(table: np.ndarray, env: TabularEnv) -> np.ndarray:
    return np.where(env.terminal[:, None], 0.0, (env.P * table).sum(axis=2))


def _full_table(reward: RewardFunction, env: TabularEnv) -> np.ndarray:
    """Return R(s, a, s'), ``(S, A, S)``, with d = 1 where s' is terminal."""
    n_states, n_actions = env.R.shape
    if reward.observation_space != env.observation_space or reward.action_space != env.action_space:
        raise ConfigurationError(
            f"given a reward over {reward.observation_space} and {reward.action_space} for an environment with {n_states} "
            f"states and {n_actions} actions; give a reward of this environment"
        )
    states, actions, following = _grid(np.arange(n_states), np.arange(n_actions), np.arange(n_states))
    dones = torch.as_tensor(env.terminal)[following].float()
    return rewards_of(reward, Batch(states, actions, following, dones)).reshape(n_states, n_actions, n_states)


def _grid(*axes: np.ndarray) -> list[torch.Tensor]:
    """Return all combinations of the axes' values, as one flat tensor per axis."""
    return [torch.as_tensor(values.ravel()) for values in np.meshgrid(*axes, indexing="ij")]
