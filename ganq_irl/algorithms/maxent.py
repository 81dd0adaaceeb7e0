"""Exact maximum causal entropy IRL for tabular environments, as a reference for sampling-based methods.

imitation's ``MCEIRL`` solves the same problem, but is not exact with discounting: release 1.0.1 compares the discounted
visits of an *undiscounted* policy with the demonstrations', and counts a state after the last action that no reward can
influence. So the tests only use its soft backup as a check, and the problem is solved here with an infinite horizon, as the
discounted agents of this toolkit see it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy  # its submodules are imported when they are first used

from ganq_irl.environments.tabular import TabularEnv
from ganq_irl.environments.value_iteration import check_discount
from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.rewards.functions import FunctionReward, tabular_reward

_TOLERANCE = 1e-10  # absolute and relative tolerance of values


def soft_policy(env: TabularEnv, rewards: np.ndarray, discount: float) -> np.ndarray:
    """Return the MaxEnt policy of rewards ``(S, A)``: π(a|s) = exp(Q(s,a) - V(s)), ``(S, A)`` (Ziebart, 2010, chapter 9).

    Q = R + γ P V, V(s) = log Σ exp Q(s,a), and the temperature is 1, as in AIRL. Soft policy iteration solves them.
    """
    check_discount(discount)
    return _soft_solution(env, rewards, discount)[1]


def occupancy(env: TabularEnv, policy: np.ndarray, discount: float) -> np.ndarray:
    """Return the expected discounted visits of each state under a policy ``(S, A)``, ``(S,)``. They sum to 1/(1-γ)."""
    moves = np.einsum("sa,sat->st", policy, env.P)
    return np.linalg.solve(np.eye(len(moves)) - discount * moves.T, np.eye(len(moves))[env.start])


def demonstrated_occupancy(episodes: Iterable[np.ndarray], n_states: int, discount: float) -> np.ndarray:
    """Return the mean discounted visits over episodes of states, scaled to sum to 1/(1-γ), ``(S,)``."""
    visits = [np.bincount(states, discount ** np.arange(len(states)), n_states) for states in episodes]
    mean = np.mean(visits, axis=0)
    return mean / mean.sum() / (1 - discount)


def maxent_irl(
    env: TabularEnv, visits: np.ndarray, discount: float, *, l2: float = 0.0, max_iterations: int = 2000
) -> FunctionReward:
    """Find state rewards whose MaxEnt policy has the same state visits as the demonstrations.

    It minimizes V(s_0) - Σ_s visits(s) r(s), the negative log-likelihood of the demonstrations. This is convex, its gradient
    is the difference of the two occupancies, and nothing is sampled. The reward is unique up to a constant; its mean is 0.

    Args:
        env: an environment without terminal states; its own rewards are not used.
        visits: discounted visits of the demonstrations, ``(S,)``, from ``occupancy`` or ``demonstrated_occupancy``.
        discount: γ in [0, 1).
        l2: weight of Σ r²/2, which keeps rewards of unvisited states finite.
        max_iterations: maximum number of L-BFGS iterations.

    Raises:
        ConfigurationError: the environment has terminal states, γ is out of range, or ``l2`` is 0 and a state is never
            visited, so that its optimal reward is minus infinity.
        TrainingDiverged: the optimizer did not converge.
    """
    check_discount(discount)
    _check(env, visits, l2)

    def loss(rewards: np.ndarray) -> tuple[float, np.ndarray]:
        values, policy = _soft_solution(env, np.repeat(rewards[:, None], env.R.shape[1], axis=1), discount)
        gradient = occupancy(env, policy, discount) - visits
        return values[env.start] - visits @ rewards + l2 / 2 * rewards @ rewards, gradient + l2 * rewards

    start = np.zeros(len(visits))
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": max_iterations, "gtol": 1e-8, "ftol": 0}
    )
    gap = float(np.abs(loss(found.x)[1]).max())
    if not gap < 1e-4:
        raise TrainingDiverged(f"MaxEnt IRL stopped {gap:.2g} from the demonstrations' visits; raise max_iterations or l2")
    return tabular_reward(found.x - found.x.mean(), n_actions=env.R.shape[1])


def _soft_solution(env: TabularEnv, rewards: np.ndarray, discount: float) -> tuple[np.ndarray, np.ndarray]:
    values, change, log_policy = np.zeros(len(rewards)), np.inf, scipy.special.log_softmax(rewards, axis=1)
    while change > _TOLERANCE * (1 + np.abs(values).max()):
        policy = np.exp(log_policy)
        moves = np.einsum("sa,sat->st", policy, env.P)
        improved = np.linalg.solve(np.eye(len(moves)) - discount * moves, (policy * (rewards - log_policy)).sum(axis=1))
        change, values = np.abs(improved - values).max(), improved
        log_policy = scipy.special.log_softmax(rewards + discount * env.P @ values, axis=1)
    return values, np.exp(log_policy)


def _check(env: TabularEnv, visits: np.ndarray, l2: float) -> None:
    if env.terminal.any() or np.shape(visits) != env.terminal.shape:
        raise ConfigurationError(
            f"MaxEnt IRL: given {env.terminal.sum()} terminal states, and visits of shape {np.shape(visits)} for "
            f"{len(env.terminal)} states; expected no terminal states (use a state that is never left) and one number each"
        )
    unvisited = np.flatnonzero(np.asarray(visits) <= 0).tolist()
    if l2 == 0 and unvisited:
        raise ConfigurationError(
            f"the demonstrations never visit the states {unvisited}, whose optimal reward is minus infinity; use more "
            "demonstrations, or l2, such as 1e-3"
        )
