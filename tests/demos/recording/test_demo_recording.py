from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl_demos import check_demonstrations, random_policy, record_episodes, require_valid
from tests.demos.demo_examples import DictEnv, SwingUp


class Constant:
    """Always the same action; remembers what ``predict`` was given, and counts its calls in the state."""

    def __init__(self, action):
        self.action, self.calls = action, []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.calls.append((state, episode_start.tolist(), deterministic))
        return self.action, (0 if state is None or episode_start[0] else state) + 1


def test_a_recorded_episode_can_be_played_again():
    env = gym.make("Pendulum-v1")
    demos = record_episodes(SwingUp(), env, 3, seed=7)
    require_valid(demos, env_id="Pendulum-v1", max_episode_steps=200)
    assert demos.env_id == "Pendulum-v1"
    assert [trajectory.seed for trajectory in demos] == [7, 8, 9]
    assert all(trajectory.truncated and not trajectory.terminated for trajectory in demos)
    for trajectory in demos:
        observation, _ = env.reset(seed=trajectory.seed)
        for step, action in enumerate(trajectory.actions):
            np.testing.assert_array_equal(observation, trajectory.observations[step])
            observation, reward, *_ = env.step(action)
            assert reward == trajectory.rewards[step]
        np.testing.assert_array_equal(observation, trajectory.observations[-1])


def test_the_scripted_expert_is_one():
    demos = record_episodes(SwingUp(), gym.make("Pendulum-v1"), 5, seed=0)
    assert demos.returns.mean() > -600


def test_the_same_seed_records_the_same():
    def record(seed):
        env = gym.make("CartPole-v1")
        return record_episodes(random_policy(env.action_space, np.random.default_rng(seed)), env, 3, seed=seed)

    assert record(0).checksum == record(0).checksum
    assert record(0).checksum != record(1).checksum


def test_termination_is_recorded_as_such():
    demos = record_episodes(Constant(1), gym.make("CartPole-v1"), 2, seed=0)
    assert all(trajectory.terminated and not trajectory.truncated for trajectory in demos)
    assert demos.to_batch().dones.sum() == 2
    assert demos[0].actions.tolist() == [1] * len(demos[0])
    assert demos[0].actions.dtype == np.int64


@pytest.mark.parametrize(("action", "executed"), [([9.0], 2.0), ([-2.5], -2.0), ([0.5], 0.5), (np.float64(3), 2.0)])
def test_box_actions_are_recorded_as_executed(action, executed):
    demos = record_episodes(Constant(action), gym.make("Pendulum-v1"), 1, seed=0)
    assert demos[0].actions.shape == (200, 1)
    assert demos[0].actions.dtype == np.float32
    assert (demos[0].actions == executed).all()


def test_policies_with_memory_get_their_state_and_the_starts():
    policy = Constant(np.array([0.0]))
    record_episodes(policy, gym.make("Pendulum-v1"), 2, seed=0, deterministic=False)
    assert policy.calls[:2] == [(None, [True], False), (1, [False], False)]
    assert policy.calls[200] == (None, [True], False)
    assert policy.calls[399] == (199, [False], False)


def test_reused_buffers_and_dict_observations_are_copied():
    env = DictEnv()
    demos = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 2, seed=0)
    assert demos[0].observations["number"].ravel().tolist() == [0, 1, 2, 3, 4]
    assert demos[0].observations["image"].dtype == np.uint8
    assert demos[0].actions.shape == (4, 2)
    assert demos.env_id is None
    assert not [finding for finding in check_demonstrations(demos) if finding.severity == "error"]


def test_poor_episodes_are_dropped_and_counted():
    env = gym.make("CartPole-v1")
    every = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 12, seed=0)
    limit = float(np.median(every.returns))
    seen = []
    good = record_episodes(
        random_policy(env.action_space, np.random.default_rng(0)),
        env,
        4,
        seed=0,
        min_return=limit,
        progress=lambda kept, wanted: seen.append((kept, wanted)),
        provenance={"expert": "none"},
    )
    assert good.returns.min() >= limit
    tried = good.provenance["tried"]
    assert (good.provenance["kept"], good.provenance["expert"], len(seen), seen[-1]) == (4, "none", tried + 1, (4, 4))
    assert [t.seed for t in good] == [t.seed for t in every if t.episode_return >= limit][:4]


def test_a_return_out_of_reach_stops_after_twenty_tries_an_episode():
    tries = []
    with pytest.raises(
        InvalidDemonstrations, match=r"only 0 of 40 episodes reached a return of 400, but 2 were requested; the best was"
    ):
        record_episodes(
            Constant(1), gym.make("CartPole-v1"), 2, seed=0, min_return=400, progress=lambda *kept: tries.append(kept)
        )
    assert len(tries) == 41  # once before the first


@pytest.mark.parametrize("wrapper", [gym.wrappers.NormalizeReward, gym.wrappers.NormalizeObservation])
def test_drifting_normalization_is_refused(wrapper):
    env = gym.wrappers.TimeLimit(wrapper(gym.make("Pendulum-v1")), 10)
    with pytest.raises(ConfigurationError, match=f"wrapped in {wrapper.__name__}"):
        record_episodes(SwingUp(), env, 1, seed=0)


def test_requests_that_make_no_sense_are_refused():
    from stable_baselines3.common.vec_env import DummyVecEnv

    with pytest.raises(ConfigurationError, match="n_episodes is 0"):
        record_episodes(SwingUp(), gym.make("Pendulum-v1"), 0, seed=0)
    for vectorized in (DummyVecEnv, gym.vector.SyncVectorEnv):
        with pytest.raises(ConfigurationError, match=f"single Gymnasium environment, given {vectorized.__name__}"):
            record_episodes(SwingUp(), vectorized([lambda: gym.make("Pendulum-v1")]), 1, seed=0)


def test_the_random_policy_leaves_the_environments_space_alone():
    env = gym.make("Pendulum-v1")
    env.action_space.seed(3)
    expected = env.action_space.sample()
    env.action_space.seed(3)
    policies = [random_policy(env.action_space, np.random.default_rng(5)) for _ in range(2)]
    drawn = [[policy.predict(None)[0].item() for _ in range(4)] for policy in policies]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4
    np.testing.assert_array_equal(env.action_space.sample(), expected)


@pytest.mark.parametrize(
    ("algorithm", "env_id"), [("PPO", "CartPole-v1"), ("PPO", "Pendulum-v1"), ("SAC", "Pendulum-v1"), ("DQN", "CartPole-v1")]
)
def test_policies_of_stable_baselines_are_recorded_inside_the_space(algorithm, env_id):
    import stable_baselines3

    env = gym.make(env_id)
    model = getattr(stable_baselines3, algorithm)("MlpPolicy", env_id, seed=0, device="cpu")
    demos = record_episodes(model, env, 1, seed=0, deterministic=False)
    assert not [finding for finding in check_demonstrations(demos) if finding.severity == "error"]
    assert all(env.action_space.contains(action) for action in demos[0].actions)


def test_observations_and_actions_without_an_axis_are_recorded():
    class Counter(gym.Env):
        observation_space, action_space = spaces.Discrete(4), spaces.Box(-1, 1, ())

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.count = 0
            return 0, {}

        def step(self, action):
            self.count += 1
            return self.count, float(action), self.count == 3, False, {}

    demos = record_episodes(Constant(np.array([0.5])), Counter(), 1, seed=0)
    assert demos[0].observations.tolist() == [0, 1, 2, 3]
    assert demos[0].actions.tolist() == [0.5, 0.5, 0.5]
