"""Exploration with random actions that are repeated for several steps."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError

_LONGEST = 10_000


def no_random_actions(n_envs: int) -> np.ndarray:
    """Return ``(2, n_envs)`` int64: each environment's random action and its remaining steps, initially none."""
    return np.zeros((2, n_envs), dtype=np.int64)


def ez_greedy(greedy: np.ndarray, under_way: np.ndarray, rate: float, exponent: float, space: spaces.Discrete) -> np.ndarray:
    """Return εz-greedy actions (Dabney, Ostrovski & Barreto, 2021, algorithm 1), ``(n_envs,)``.

    Where no random action is in progress, one starts with probability ε. It is repeated for n steps, P(n) ∝ n^-μ: usually
    once, as in ε-greedy, but sometimes long enough to reach places that independent random steps do not, since they cancel
    out.

    Args:
        greedy: the greedy actions, ``(n_envs,)``.
        under_way: result of ``no_random_actions``, updated in place.
        rate: ε.
        exponent: μ, above 1; the paper uses 2.
        space: the action space, whose random generator is used.
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
    """Raise unless the exponent gives a distribution of durations.

    Raises:
        ConfigurationError: it is not above 1.
    """
    if exponent is not None and not 1 < exponent < np.inf:
        raise ConfigurationError(
            f"exploration_zeta: given {exponent}; expected a number above 1, such as 2, or None for single random steps"
        )
