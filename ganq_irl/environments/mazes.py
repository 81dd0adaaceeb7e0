"""Chain and gridworld, with or without wind, whose true reward depends on the state alone.

In every state the agent can stay or leave, so any two states are linked through common successors. AIRL's theorem requires
this of the dynamics to recover the true state-only reward (Fu et al., 2018, appendix B); it also requires deterministic
dynamics, which wind violates. No state is terminal; episodes end at a time limit.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ganq_irl.environments.laws import ReturnLaw
from ganq_irl.environments.tabular import TabularEnv
from ganq_irl.errors import ConfigurationError


def chain(n_states: int = 6) -> TabularEnv:
    """Make a row of states with the actions left, stay, right. It starts next to the left end.

    The reward is 1 at the right end and -0.5 in the middle.

    Raises:
        ConfigurationError: fewer than 3 states.
    """
    if n_states < 3:
        raise ConfigurationError(f"given a chain of {n_states} states; expected at least 3")
    rewards = np.zeros(n_states)
    rewards[n_states // 2], rewards[-1] = -0.5, 1.0
    P = np.zeros((n_states, 3, n_states))
    for state, (action, move) in product(range(n_states), enumerate((-1, 0, 1))):
        P[state, action, np.clip(state + move, 0, n_states - 1)] = 1.0
    return _paying(P, rewards, start=1)


def gridworld(size: int = 4, wind: float = 0.0) -> TabularEnv:
    """Make a square of ``size * size`` states, numbered by rows, with the actions stay, up, down, left, right.

    The reward is 1 in the last corner and -1 in the middle; episodes start in the first corner.

    Args:
        size: length of a side, at least 3.
        wind: probability that each step is followed by an extra step to the right, in [0, 1).

    Raises:
        ConfigurationError: a number is out of range.
    """
    if size < 3 or not 0 <= wind < 1:
        raise ConfigurationError(
            f"given a gridworld of size={size}, wind={wind}; expected a size of at least 3 and a wind in [0, 1)"
        )
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
    """Make ``gridworld`` with a wind of 0.3."""
    return gridworld(size, wind=0.3)


def _paying(P: np.ndarray, rewards: np.ndarray, start: int) -> TabularEnv:
    """Make an environment whose reward depends on the state alone."""
    n_actions = P.shape[1]
    return TabularEnv(P, [[ReturnLaw(float(reward))] * n_actions for reward in rewards], terminal=[], start=start)
