"""A chain and a gridworld, with and without wind, whose true reward depends on the state alone.

Every state can be left in several ways and be stayed in, so that any two are linked by states that both can follow: what
AIRL's theorem asks of dynamics for its state-only reward to be the true one (Fu et al., 2018, appendix B), besides their
being deterministic, which wind takes away. No state is terminal; episodes end by time.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ganq_irl.environments.laws import ReturnLaw
from ganq_irl.environments.tabular import TabularEnv
from ganq_irl.errors import ConfigurationError


def chain(n_states: int = 6) -> TabularEnv:
    """States in a row, actions left, stay, right; 1 at the right end, -0.5 in the middle, started next to the left end.

    Raises:
        ConfigurationError: fewer than 3 states.
    """
    if n_states < 3:
        raise ConfigurationError(f"a chain of {n_states} states; expected at least 3")
    rewards = np.zeros(n_states)
    rewards[n_states // 2], rewards[-1] = -0.5, 1.0
    P = np.zeros((n_states, 3, n_states))
    for state, (action, move) in product(range(n_states), enumerate((-1, 0, 1))):
        P[state, action, np.clip(state + move, 0, n_states - 1)] = 1.0
    return _paying(P, rewards, start=1)


def gridworld(size: int = 4, wind: float = 0.0) -> TabularEnv:
    """A square of ``size * size`` states, row by row; actions stay, up, down, left, right.

    1 in the far corner, -1 in the middle, started in the first corner.

    Args:
        size: of a side, at least 3.
        wind: chance that a step is followed by one to the right that nobody chose, in [0, 1).

    Raises:
        ConfigurationError: a number is out of its range.
    """
    if size < 3 or not 0 <= wind < 1:
        raise ConfigurationError(f"a gridworld of size={size}, wind={wind}; expected at least 3, and from 0 to below 1")
    rewards = np.zeros(size * size)
    rewards[size * (size // 2) + size // 2], rewards[-1] = -1.0, 1.0
    P = np.zeros((size * size, 5, size * size))
    moves = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    for (row, column), (action, (down, right)) in product(product(range(size), repeat=2), enumerate(moves)):
        to_row, to_column = np.clip([row + down, column + right], 0, size - 1)
        blown = min(to_column + 1, size - 1)
        for target, chance in ((to_column, 1 - wind), (blown, wind)):
            P[row * size + column, action, to_row * size + target] += chance
    return _paying(P, rewards, start=0)


def windy_gridworld(size: int = 4) -> TabularEnv:
    """``gridworld`` with a wind of 0.3."""
    return gridworld(size, wind=0.3)


def _paying(P: np.ndarray, rewards: np.ndarray, start: int) -> TabularEnv:
    """For being in a state, whatever is done there."""
    n_actions = P.shape[1]
    return TabularEnv(P, [[ReturnLaw(float(reward))] * n_actions for reward in rewards], terminal=[], start=start)
