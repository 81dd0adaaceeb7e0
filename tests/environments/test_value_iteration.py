from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.environments.tabular import SMALL_MDP_P, SMALL_MDP_R
from ganq_irl.environments.value_iteration import value_iteration
from ganq_irl.errors import ConfigurationError

END = np.arange(6) == 5


def random_tables(seed, n_states=4, n_actions=3):
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(n_states, 0.5), size=(n_states, n_actions))
    return P, rng.normal(size=(n_states, n_actions)), np.arange(n_states) == n_states - 1


def values_of(policy, P, R, gamma, terminal):
    """V of a policy, by solving its linear equations."""
    rows = np.arange(len(R))
    moves = np.where(terminal[:, None], 0.0, P[rows, policy])
    rewards = np.where(terminal, 0.0, R[rows, policy])
    return np.linalg.solve(np.eye(len(R)) - gamma * moves, rewards)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("tables", [(SMALL_MDP_P, SMALL_MDP_R, END), random_tables(0), random_tables(1)])
def test_no_policy_does_better_and_the_greedy_one_does_as_well(tables, gamma):
    P, R, terminal = tables
    Q, policy = value_iteration(P, R, gamma, terminal)
    of_all = [values_of(np.array(p), P, R, gamma, terminal) for p in product(range(R.shape[1]), repeat=len(R))]
    best = np.max(of_all, axis=0)
    assert np.allclose(Q.max(axis=1), best, atol=1e-9)
    assert np.allclose(values_of(policy, P, R, gamma, terminal), best, atol=1e-9)


@given(seed=st.integers(0, 10_000), gamma=st.floats(0.0, 0.95), tolerance=st.sampled_from([1e-10, 1e-3, 1.0]))
def test_the_error_is_within_the_tolerance(seed, gamma, tolerance):
    P, R, terminal = random_tables(seed)
    Q, policy = value_iteration(P, R, gamma, terminal)
    exact = np.where(terminal[:, None], 0.0, R + gamma * P @ values_of(policy, P, R, gamma, terminal))
    rough, _ = value_iteration(P, R, gamma, terminal, tolerance)
    assert np.abs(rough - exact).max() <= tolerance + 1e-12
    assert not Q[terminal].any()


def test_values_known_by_hand():
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 2] = P[2, :, 2] = 1.0
    Q, policy = value_iteration(P, np.array([[1.0, 2.5], [2.0, -1.0], [9.0, 9.0]]), 0.5, np.array([False, False, True]))
    assert np.allclose(Q, [[2.0, 2.5], [2.0, -1.0], [0.0, 0.0]])
    assert policy[:2].tolist() == [1, 0]


def test_large_values_stop_as_well():
    P, R, terminal = random_tables(2)
    Q, _ = value_iteration(P, 1e9 * R, 0.99, terminal)
    assert np.allclose(Q, 1e9 * value_iteration(P, R, 0.99, terminal)[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gamma": 1.0}, "gamma"),
        ({"gamma": -0.1}, "gamma"),
        ({"P": SMALL_MDP_P[:, :1]}, "shapes"),
        ({"P": SMALL_MDP_P * 0.5}, "sum to 1"),
        ({"R": SMALL_MDP_R[0]}, "shapes"),
        ({"terminal": END[:3]}, "shapes"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, said):
    settings = {"P": SMALL_MDP_P, "R": SMALL_MDP_R, "gamma": 0.9, "terminal": END} | change
    with pytest.raises(ConfigurationError, match=said):
        value_iteration(**settings)
