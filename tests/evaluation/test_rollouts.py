import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import RandomPolicy, evaluate_returns, random_returns


class SeedEnv(gym.Env):
    """Pays the reset's first random number on each of its steps, the number of which is random as well."""

    observation_space, action_space = spaces.Box(0, 1, (1,)), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.value, self.left = self.np_random.random(), int(self.np_random.integers(1, 9))
        return np.array([self.value], np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.array([self.value], np.float32), self.value, self.left == 0, False, {}


class Zero:
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros(len(observation), np.int64), state


def expected(seed):
    rng = gym.utils.seeding.np_random(seed)[0]
    value, length = rng.random(), int(rng.integers(1, 9))
    return value * length, length


@pytest.mark.parametrize(("n_episodes", "n_envs"), [(1, 8), (7, 3), (10, 1), (8, 4), (5, 5)])
def test_episode_i_starts_from_seed_plus_i_however_many_environments(n_episodes, n_envs):
    statistics = evaluate_returns(Zero(), SeedEnv, n_episodes, seed=40, n_envs=n_envs)
    returns, lengths = zip(*(expected(40 + i) for i in range(n_episodes)), strict=True)
    np.testing.assert_allclose(statistics.returns, returns, atol=1e-6)  # Monitor rounds to six digits
    np.testing.assert_array_equal(statistics.lengths, lengths)
    assert len(statistics) == n_episodes


def test_random_returns_are_reproducible_and_leave_the_global_generators_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (random_returns("CartPole-v1", 5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.returns, second.returns)
    assert not np.array_equal(first.returns, random_returns("CartPole-v1", 5, seed=8).returns)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_a_stochastic_sb3_policy_is_reproducible():
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", "Pendulum-v1", seed=0, device="cpu")
    first, second = (evaluate_returns(model, "Pendulum-v1", 2, seed=3, deterministic=False) for _ in range(2))
    np.testing.assert_array_equal(first.returns, second.returns)


@pytest.mark.parametrize("space", [spaces.Discrete(3), spaces.Box(-1, 1, (2,)), spaces.MultiBinary(4)])
def test_random_policy_acts_for_a_batch_without_touching_the_space(space):
    space.seed(0)
    reference = space.sample()
    space.seed(0)
    actions, _ = RandomPolicy(space, seed=5).predict({"a": np.zeros((6, 2))})
    assert actions.shape == (6, *space.shape)
    assert all(space.contains(action) for action in actions)
    np.testing.assert_array_equal(space.sample(), reference)


@pytest.mark.parametrize(("n_episodes", "n_envs"), [(0, 1), (1, 0)])
def test_nothing_to_play_is_refused(n_episodes, n_envs):
    with pytest.raises(ConfigurationError, match="at least 1"):
        evaluate_returns(Zero(), SeedEnv, n_episodes, n_envs=n_envs)
