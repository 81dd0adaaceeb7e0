import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.stats import kstest, wasserstein_distance

from ganq_irl.environments import BANDIT, FOUR_MODE_CHAIN, SMALL_MDP
from ganq_irl.environments.laws import ReturnLaw
from ganq_irl.environments.tabular import ARMS, TabularEnv
from ganq_irl.errors import ConfigurationError

ALL = [BANDIT, FOUR_MODE_CHAIN, SMALL_MDP]


def returns_of(env, action, gamma, n, seed=0):
    """``(n,)`` discounted returns of ``action`` in the start state and optimal actions after it, by playing."""
    policy = env.optimum(gamma)[1]
    env.reset(seed=seed)
    returns = np.zeros(n)
    for episode in range(n):
        state, _ = env.reset()
        terminated, discount, chosen = False, 1.0, action
        while not terminated:
            state, reward, terminated, _, _ = env.step(chosen)
            returns[episode] += discount * reward
            discount, chosen = discount * gamma, policy[state]
    return returns


def make(name, **settings):
    return gym.make(name, **settings).unwrapped


@pytest.mark.parametrize("name", ALL)
def test_gymnasium_finds_nothing_to_complain_about(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        check_env(make(name), skip_render_check=True)


@pytest.mark.parametrize(("arm", "law"), list(enumerate(ARMS.values())))
def test_the_bandits_returns_follow_the_law_of_the_arm(arm, law):
    env = make(BANDIT)
    returns = returns_of(env, arm, 0.9, 4000)
    told = env.return_law(0, arm, 0.9)
    assert told.mean() == pytest.approx(law.mean())
    assert told.std() == pytest.approx(law.std())
    assert returns.mean() == pytest.approx(told.mean(), abs=4 * told.std() / np.sqrt(4000))
    assert returns.std() == pytest.approx(told.std(), rel=0.05)
    assert np.abs([(returns <= x).mean() - told.cdf(x) for x in np.linspace(-2, 2, 41)]).max() < 0.03


def test_the_gaussian_arm_passes_kolmogorov_smirnov_and_another_width_does_not():
    env = make(BANDIT)
    returns = returns_of(env, list(ARMS).index("gaussian"), 0.9, 4000)
    assert kstest(returns, ARMS["gaussian"].cdf).pvalue > 0.01
    assert kstest(returns, ReturnLaw(0.0, widths=0.6).cdf).pvalue < 1e-4


def test_the_bandit_takes_arms_by_name():
    env = make(BANDIT, arms=("constant", "bimodal"))
    assert env.action_space.n == 2
    assert env.optimum(0.9)[0][0] == pytest.approx([0.5, 0.4])
    assert env.return_law(0, 1, 0.9).mode_masses == pytest.approx({-1.0: 0.3, 1.0: 0.7})
    with pytest.raises(ConfigurationError, match="did you mean 'bimodal'"):
        make(BANDIT, arms=("bimodl", "constant"))


@pytest.mark.parametrize("gamma", [0.5, 0.9])
@pytest.mark.parametrize("action", [0, 1])
def test_the_chain_has_four_modes_of_equal_mass_where_they_should_be(gamma, action):
    env = make(FOUR_MODE_CHAIN)
    masses = env.return_law(0, action, gamma).mode_masses
    expected = sorted(big + gamma**2 * small - action for big in (-2, 2) for small in (-1, 1))
    assert list(masses) == pytest.approx(expected)
    assert list(masses.values()) == pytest.approx([0.25] * 4)
    returns = returns_of(env, action, gamma, 2000)
    gaps = np.abs(returns[:, None] - np.array(expected))
    assert gaps.min(axis=1).max() < 1e-9
    assert np.bincount(gaps.argmin(axis=1)) / 2000 == pytest.approx([0.25] * 4, abs=0.04)


@pytest.mark.parametrize("action", [0, 1])
@pytest.mark.parametrize("gamma", [0.5, 0.9])
def test_the_small_mdps_law_agrees_with_its_optimum_and_with_play(action, gamma):
    env = make(SMALL_MDP)
    law = env.return_law(0, action, gamma)
    Q, _ = env.optimum(gamma)
    assert law.mean() == pytest.approx(Q[0, action], abs=1e-3 * 3 / (1 - gamma))
    returns = returns_of(env, action, gamma, 3000)
    assert returns.mean() == pytest.approx(law.mean(), abs=4 * law.std() / np.sqrt(3000))
    assert returns.std() == pytest.approx(law.std(), rel=0.08)
    assert wasserstein_distance(returns, law.locations, v_weights=law.weights) < 0.05 * law.std()
    assert wasserstein_distance(returns, 1.1 * law.locations, v_weights=law.weights) > 0.05 * law.std()


def test_another_policy_has_another_law():
    env = make(SMALL_MDP)
    Q, best = env.optimum(0.9)
    assert env.return_law(0, 0, 0.9, policy=1 - best).mean() < Q[0, 0] - 0.1
    assert env.return_law(0, 0, 0.9, policy=best).mean() == pytest.approx(Q[0, 0], abs=0.03)


def test_a_loop_with_random_rewards_keeps_its_closed_form():
    """r ~ N(1, 1) for ever, ended with probability 1/2: mean and variance solve two linear equations."""
    P = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
    env = TabularEnv(P, [[ReturnLaw(1.0, widths=1.0)], [ReturnLaw(0.0)]], terminal=[1])
    law = env.return_law(0, 0, 0.8)
    mean = 1 / (1 - 0.4)
    square = (2 + 2 * 0.4 * mean) / (1 - 0.64 / 2)  # E Z² = E r² + 2 E r γ E Z/2 + γ² E Z²/2
    assert law.mean() == pytest.approx(mean, rel=5e-3)
    assert law.std() == pytest.approx(np.sqrt(square - mean**2), rel=1e-2)


def test_terminal_states_are_worth_nothing_and_gamma_is_checked():
    env = make(SMALL_MDP)
    assert env.return_law(5, 0, 0.9).mode_masses == {0.0: 1.0}
    assert env.return_law(0, 1, 0.0).mode_masses == {-1.0: 1.0}
    with pytest.raises(ConfigurationError, match="gamma"):
        env.return_law(0, 0, 1.0)


def test_equal_seeds_give_equal_returns():
    env = make(SMALL_MDP)
    assert np.array_equal(returns_of(env, 0, 0.9, 20, seed=3), returns_of(env, 0, 0.9, 20, seed=3))
    assert not np.array_equal(returns_of(env, 0, 0.9, 20, seed=3), returns_of(env, 0, 0.9, 20, seed=4))
