"""Exploration that goes somewhere: random actions that last."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError

_LONGEST = 10_000


def nothing_under_way(n_envs: int) -> np.ndarray:
    """``(2, n_envs)`` int64: the random action of each environment and for how many steps it goes on; none yet."""
    return np.zeros((2, n_envs), dtype=np.int64)


def ez_greedy(greedy: np.ndarray, under_way: np.ndarray, rate: float, exponent: float, space: spaces.Discrete) -> np.ndarray:
    """εz-greedy actions (Dabney, Ostrovski & Barreto, 2021, algorithm 1), ``(n_envs,)``.

    Where nothing random is under way, a random action begins with probability ε. It goes on for n steps, P(n) ∝ n^-μ: mostly
    one, as in ε-greedy, and now and then so many that they lead where single random steps, which undo each other, never do.

    Args:
        greedy: what is done otherwise, ``(n_envs,)``.
        under_way: what ``nothing_under_way`` made; brought up to date in place.
        rate: ε.
        exponent: μ, above 1; the paper's is 2.
        space: of the actions; its random generator draws.
    """
    actions = greedy.copy()
    for env in range(len(actions)):
        if under_way[1, env] == 0 and space.np_random.random() < rate:
            under_way[:, env] = space.sample(), min(space.np_random.zipf(exponent), _LONGEST)
        if under_way[1, env] > 0:
            actions[env] = under_way[0, env]
            under_way[1, env] -= 1
    return actions


def check_exponent(exponent: float | None) -> None:
    """Raise unless durations can be drawn by it.

    Raises:
        ConfigurationError: not above 1.
    """
    if exponent is not None and not 1 < exponent < np.inf:
        raise ConfigurationError(
            f"exploration_zeta: given {exponent}; expected a number above 1, such as 2, or None for single random steps"
        )
