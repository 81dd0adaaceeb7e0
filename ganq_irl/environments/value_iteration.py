"""Value iteration for tabular Markov decision processes."""

from __future__ import annotations

import numpy as np

from ganq_irl.errors import ConfigurationError


def value_iteration(
    P: np.ndarray, R: np.ndarray, gamma: float, terminal: np.ndarray, tolerance: float = 1e-10
) -> tuple[np.ndarray, np.ndarray]:
    """Return optimal action values and a greedy policy (Bellman, 1957): Q(s,a) = R(s,a) + γ Σ P(s'|s,a) max Q(s',·).

    The iteration stops when the bound of the contraction, ‖Q - Q*‖∞ ≤ γ/(1-γ) · ‖last change‖∞, is at most ``tolerance``.

    Args:
        P: ``(states, actions, states)`` probabilities of the next state.
        R: ``(states, actions)`` expected rewards.
        gamma: discount in [0, 1).
        terminal: ``(states,)`` bool; terminal states have value 0, and their rows of ``P`` and ``R`` are ignored.
        tolerance: largest error of a Q value, up to float64 rounding.

    Returns:
        Q ``(states, actions)``, 0 in terminal states, and the policy ``(states,)``, the first of equally good actions.

    Raises:
        ConfigurationError: the tables have inconsistent shapes, rows are not probabilities, or γ is outside [0, 1).
    """
    P, R, terminal = np.asarray(P, float), np.asarray(R, float), np.asarray(terminal, bool)
    check_tables(P, R, terminal)
    check_discount(gamma)
    Q = np.where(terminal[:, None], 0.0, R)
    change = np.abs(Q).max()  # from zeros
    # The change shrinks by γ in each round, down to the rounding error of the largest value.
    while gamma * change > max((1 - gamma) * tolerance, 1e-14 * np.abs(Q).max()):
        improved = np.where(terminal[:, None], 0.0, R + gamma * P @ Q.max(axis=1))
        change = np.abs(improved - Q).max()
        Q = improved
    return Q, Q.argmax(axis=1)


def check_discount(gamma: float) -> None:
    """Raise a ConfigurationError unless 0 <= γ < 1."""
    if not 0 <= gamma < 1:
        raise ConfigurationError(f"gamma: given {gamma}, expected a number in [0, 1), so that returns are bounded")


def check_tables(P: np.ndarray, R: np.ndarray, terminal: np.ndarray) -> None:
    """Raise a ConfigurationError unless the tables describe a decision process."""
    n_states, n_actions = R.shape if R.ndim == 2 else (0, 0)
    if not n_states or P.shape != (n_states, n_actions, n_states) or terminal.shape != (n_states,):
        raise ConfigurationError(
            f"tables of shapes P {P.shape}, R {R.shape}, terminal {terminal.shape}: expected (S, A, S), (S, A) and (S,)"
        )
    rows = P[~terminal]
    if (rows < 0).any() or np.abs(rows.sum(axis=2) - 1).max(initial=0) > 1e-9:
        raise ConfigurationError("P: every row P[s, a] of a state that is not terminal must be probabilities that sum to 1")
