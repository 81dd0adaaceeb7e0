import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import Visits, check_values, monte_carlo_returns
from ganq_irl.evaluation.monte_carlo import discounted_returns


class Corridor(gym.Env):
    """Position t = 0, 1, ... pays t for action 0; it ends after ``length`` steps, or is cut off after ``limit``."""

    observation_space, action_space = spaces.Box(0, 1e3, (1,), np.float32), spaces.Discrete(2)

    def __init__(self, length=10**9, limit=10**9):
        self.length, self.limit = length, limit
        self.buffer = np.zeros(1, np.float32)  # used again at every step, as some environments do

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.buffer[0] = self.t = 0
        return self.buffer, {}

    def step(self, action):
        reward = float(self.t) if action == 0 else -100.0
        self.t += 1
        self.buffer[0] = self.t
        return self.buffer, reward, self.t >= self.length, self.t >= self.limit, {}


class Constant(gym.Env):
    """Pays 1 for ever; observations are a Dict."""

    observation_space = spaces.Dict(a=spaces.Box(0, 1, (2,)), b=spaces.Discrete(3))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return {"a": np.zeros(2, np.float32), "b": 1}, {}

    def step(self, action):
        return {"a": np.ones(2, np.float32), "b": 2}, 1.0, False, False, {}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    gym.register("Constant-v0", Constant, max_episode_steps=20)
    gym.register("Corridor-v0", Corridor, max_episode_steps=4, disable_env_checker=True)
    yield
    for env_id in ("Constant-v0", "Corridor-v0"):
        del gym.registry[env_id]


class Fixed:
    """One action for ever; counts the steps of an episode, and remembers how it was asked."""

    def __init__(self, action=0):
        self.action, self.asked = action, []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.asked.append((state, bool(episode_start[0]), deterministic))
        first = next(iter(observation.values())) if isinstance(observation, dict) else observation
        return np.full(len(first), self.action), 1 if episode_start[0] else state + 1


@given(rewards=st.lists(st.floats(-10, 10), min_size=1, max_size=20), gamma=st.floats(0, 1))
def test_discounted_returns(rewards, gamma):
    expected = [sum(gamma**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]
    np.testing.assert_allclose(discounted_returns(rewards, gamma), expected, rtol=1e-9, atol=1e-9)


def test_a_terminated_episode_counts_whole():
    visits = monte_carlo_returns(Fixed(), Corridor, 0.5, 2, env_kwargs={"length": 3})
    np.testing.assert_allclose(visits.returns, [0.5 + 0.5, 1 + 1, 2] * 2)
    np.testing.assert_array_equal(visits.observations[:, 0], [0, 1, 2] * 2)
    np.testing.assert_array_equal(visits.actions, np.zeros(6))
    assert len(visits) == 6


def test_the_tail_of_an_episode_that_was_cut_off_is_left_out():
    visits = monte_carlo_returns(Fixed(), Corridor, 0.5, 1, tolerance=0.1, env_kwargs={"limit": 9})
    assert len(visits) == 9 - 4  # 0.5 ** 4 <= 0.1 < 0.5 ** 3


def test_an_environment_with_an_id_is_played_beyond_its_time_limit():
    visits = monte_carlo_returns(Fixed(), "Constant-v0", 0.9, 1, tolerance=1e-3)
    assert len(visits) == 20  # all of its own time, and none of the rest
    np.testing.assert_allclose(visits.returns, 10, rtol=1.1e-3)
    assert visits.returns.max() < 10
    np.testing.assert_array_equal(visits.observations["b"], [1] + [2] * 19)
    assert visits.observations["a"].shape == (20, 2)


def test_the_time_limit_may_be_a_keyword():
    visits = monte_carlo_returns(Fixed(), "Constant-v0", 0.9, 1, env_kwargs={"max_episode_steps": 7})
    assert len(visits) == 7


def test_termination_beyond_the_time_limit_is_seen():
    visits = monte_carlo_returns(Fixed(), "Corridor-v0", 0.9, 1, env_kwargs={"length": 6})
    np.testing.assert_allclose(visits.returns, discounted_returns(range(6), 0.9)[:4])


def test_without_discount_only_termination_makes_a_return_known():
    assert len(monte_carlo_returns(Fixed(), Corridor, 1.0, 1, env_kwargs={"length": 3})) == 3
    with pytest.raises(ConfigurationError, match="no return is known"):
        monte_carlo_returns(Fixed(), "Constant-v0", 1.0, 1)


@pytest.mark.parametrize("wrong", [{"n_episodes": 0}, {"gamma": 1.1}, {"gamma": -0.1}, {"tolerance": 0}, {"tolerance": 1}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="expected at least one episode"):
        monte_carlo_returns(**{"policy": Fixed(), "env": Corridor, "gamma": 0.9} | wrong)


def test_the_policy_is_asked_for_its_mode_and_keeps_its_state_within_an_episode():
    policy = Fixed()
    monte_carlo_returns(policy, Corridor, 0.5, 2, env_kwargs={"length": 2})
    assert policy.asked == [(None, True, True), (1, False, True), (2, True, True), (1, False, True)]


def test_episodes_start_from_consecutive_seeds():
    first, later = (monte_carlo_returns(Fixed(), "CartPole-v1", 0.9, 2, seed=seed) for seed in (5, 6))
    starts = [np.flatnonzero(np.abs(v.observations).max(axis=1) <= 0.05)[0] for v in (first, later)]
    assert starts == [0, 0]
    again = monte_carlo_returns(Fixed(), "CartPole-v1", 0.9, 1, seed=6)
    np.testing.assert_array_equal(later.observations[: len(again)], again.observations)
    np.testing.assert_array_equal(first.observations[-len(again) :], again.observations)


def visits(actions, returns):
    return Visits(np.zeros((len(returns), 1)), np.asarray(actions), np.asarray(returns, np.float64))


def test_statistics_by_hand():
    check = check_values(np.array([2.0, 2.0, 5.0, -4.0]), visits([0, 0, 0, 0], [1, 3, 4, -8]))
    assert check.bias == pytest.approx((1 - 1 + 1 + 4) / 4)
    assert check.mean_absolute_error == pytest.approx((1 + 1 + 1 + 4) / 4)
    assert check.scale == 8
    assert check.correlation == pytest.approx(np.corrcoef([2, 2, 5, -4], [1, 3, 4, -8])[0, 1])
    assert check.to_json().keys() == {"bias", "mean_absolute_error", "correlation", "scale", "pairs"}
    assert check.to_json()["pairs"] == 4


def test_of_values_of_every_action_those_taken_are_chosen():
    q_values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    np.testing.assert_array_equal(check_values(q_values, visits([2, 0], [0, 0])).predicted, [3, 4])


@pytest.mark.parametrize(("predicted", "returns"), [([1, 1], [1, 2]), ([1, 2], [1, 1]), ([1], [2])])
def test_a_constant_has_no_correlation(predicted, returns):
    assert check_values(np.array(predicted, float), visits([0] * len(returns), returns)).correlation is None


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 2, 2), ()])
def test_predictions_for_other_pairs_are_refused(shape):
    with pytest.raises(ConfigurationError, match="2 visited pairs"):
        check_values(np.zeros(shape), visits([0, 0], [1, 2]))
