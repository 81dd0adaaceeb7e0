"""Small environments with known optimal values and return distributions.

They test learners of return distributions against exact results instead of estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl.environments.laws import ReturnLaw, mixture
from ganq_irl.environments.value_iteration import check_discount, check_tables, value_iteration
from ganq_irl.errors import ConfigurationError, nearest

_RESOLUTION = 1e-3  # relative to the bound max |r| / (1 - γ), for episodes that can last forever


class TabularEnv(gym.Env[np.int64, np.int64]):
    """Markov decision process given by tables, with Discrete observations and actions.

    Given (s, a), reward and next state are independent. Attributes: ``P``, ``R`` (expected rewards), ``terminal``.

    Args:
        P: ``(states, actions, states)`` probabilities of the next state.
        rewards: ``rewards[s][a]``, the law of the reward.
        terminal: states that end an episode.
        start: state in which episodes start.

    Raises:
        ConfigurationError: the tables have inconsistent shapes, or rows are not probabilities.
    """

    def __init__(
        self, P: np.ndarray, rewards: Sequence[Sequence[ReturnLaw]], terminal: Sequence[int], start: int = 0
    ) -> None:
        self.P = np.asarray(P, float)
        self.rewards = rewards
        self.R = np.array([[law.mean() for law in row] for row in rewards])
        self.terminal = np.isin(np.arange(len(rewards)), terminal)
        self.start = start
        check_tables(self.P, self.R, self.terminal)
        self.observation_space = gym.spaces.Discrete(len(rewards))
        self.action_space = gym.spaces.Discrete(len(rewards[0]))
        self.state = start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.int64, dict[str, Any]]:
        """Start in the start state."""
        super().reset(seed=seed)
        self.state = self.start
        return np.int64(self.state), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Draw a reward and a next state."""
        reward = float(self.rewards[self.state][int(action)].sample(1, self.np_random)[0])
        self.state = int(self.np_random.choice(len(self.R), p=self.P[self.state, action]))
        return np.int64(self.state), reward, bool(self.terminal[self.state]), False, {}

    def optimum(self, gamma: float) -> tuple[np.ndarray, np.ndarray]:
        """Return Q* ``(states, actions)`` and an optimal policy ``(states,)``, by value iteration."""
        return value_iteration(self.P, self.R, gamma, self.terminal)

    def return_law(self, state: int, action: int, gamma: float, policy: np.ndarray | None = None) -> ReturnLaw:
        """Return the law of Σ γ^t r_t after ``action`` in ``state``, then following ``policy`` without a time limit.

        It is the fixed point of the distributional Bellman equation Z(s,a) = R(s,a) + γ Z(S', π(S')) (Bellemare et al.,
        2017, equation 5), computed by iteration. If no state can be visited twice, the result is exact after as many rounds
        as there are states. Otherwise modes are merged, keeping their mean, and the number of rounds is limited: each of
        these moves a mode by at most 0.1 % of the bound on returns, max |r| / (1 - γ) over the means of the rewards' modes.

        Args:
            state: state in which the action is taken; the return from a terminal state is 0.
            action: the first action.
            gamma: discount in [0, 1).
            policy: ``(states,)`` actions that follow; optimal ones by default.

        Raises:
            ConfigurationError: γ outside [0, 1).
        """
        check_discount(gamma)
        follow = self.optimum(gamma)[1] if policy is None else np.asarray(policy)
        values = [ReturnLaw(0.0) for _ in self.R]
        rounds, resolution = self._effort(gamma, follow)
        for _ in range(rounds):
            values = [self._backup(s, int(follow[s]), gamma, values).merged(resolution) for s in range(len(self.R))]
        return self._backup(state, action, gamma, values).merged(resolution)

    def _backup(self, state: int, action: int, gamma: float, values: Sequence[ReturnLaw]) -> ReturnLaw:
        if self.terminal[state]:
            return ReturnLaw(0.0)
        following = np.flatnonzero(self.P[state, action])
        continued = mixture([values[int(s)] for s in following], self.P[state, action, following])
        return self.rewards[state][action].plus(continued.scaled(gamma))

    def _effort(self, gamma: float, policy: np.ndarray) -> tuple[int, float]:
        """Return the number of rounds and the resolution at which modes are merged."""
        n_states = len(self.R)
        moves = np.where(self.terminal[:, None], 0.0, self.P[np.arange(n_states), policy])
        if not np.linalg.matrix_power(moves > 0, n_states).any():  # no path is that long, so no state is visited twice
            return n_states, 1e-12
        rounds = (
            1 if gamma == 0 else int(np.ceil(np.log(_RESOLUTION) / np.log(gamma)))
        )  # the remainder shrinks by γ in each round
        # A merge moves a mode by at most one resolution, and earlier moves shrink by γ: 1/(1-γ) resolutions in total.
        largest = max(np.abs(law.locations).max() for row in self.rewards for law in row)
        return rounds, max(_RESOLUTION * largest, 1e-12)


ARMS: dict[str, ReturnLaw] = {
    "bimodal": ReturnLaw([-1.0, 1.0], [0.3, 0.7]),
    "constant": ReturnLaw(0.5),
    "gaussian": ReturnLaw(0.0, widths=0.5),
}
"""Reward laws of the bandit's arms."""


def bandit(arms: Sequence[str] = tuple(ARMS)) -> TabularEnv:
    """Make a bandit with one step per episode: the reward of action i follows ``ARMS[arms[i]]``.

    Raises:
        ConfigurationError: unknown arm.
    """
    for arm in arms:
        if arm not in ARMS:
            raise ConfigurationError(f"unknown arm {arm!r}: {nearest(arm, ARMS)}")
    P = np.zeros((2, len(arms), 2))
    P[:, :, 1] = 1.0
    return TabularEnv(P, [[ARMS[arm] for arm in arms], [ReturnLaw(0.0)] * len(arms)], terminal=[1])


def four_mode_chain() -> TabularEnv:
    """Make a chain of three steps whose return is ±2 ± γ², four modes of equal mass.

    A fair coin gives ±2 on the first step and ±1 on the last. Action 0 is free; action 1 makes the same move at a cost of
    1, so action 0 is optimal.
    """
    P = np.zeros((4, 2, 4))
    P[[0, 1, 2, 3], :, [1, 2, 3, 3]] = 1.0
    coins = (ReturnLaw([-2.0, 2.0], [0.5, 0.5]), ReturnLaw(0.0), ReturnLaw([-1.0, 1.0], [0.5, 0.5]), ReturnLaw(0.0))
    cost = ReturnLaw(-1.0)
    return TabularEnv(P, [[coin, coin.plus(cost)] for coin in coins], terminal=[3])


SMALL_MDP_P = np.array(
    [  # P[s, a, s'], two actions per state; state 5 is terminal
        [[0.1, 0.9, 0.0, 0.0, 0.0, 0.0], [0.3, 0.0, 0.7, 0.0, 0.0, 0.0]],
        [[0.2, 0.0, 0.0, 0.8, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0, 0.5, 0.0]],
        [[0.0, 0.0, 0.0, 0.5, 0.5, 0.0], [0.4, 0.0, 0.0, 0.0, 0.0, 0.6]],
        [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.1, 0.9, 0.0]],
        [[0.0, 0.0, 0.3, 0.0, 0.0, 0.7], [0.0, 0.5, 0.0, 0.0, 0.0, 0.5]],
        [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]],
    ]
)
SMALL_MDP_R = np.array([[0.0, -1.0], [1.0, 0.0], [0.5, 2.0], [3.0, -0.5], [2.0, 1.0], [0.0, 0.0]])


def small_mdp() -> TabularEnv:
    """Make six states with two actions, random moves with loops, and deterministic rewards."""
    return TabularEnv(SMALL_MDP_P, [[ReturnLaw(reward) for reward in row] for row in SMALL_MDP_R], terminal=[5])
