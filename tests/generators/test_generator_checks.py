"""What cannot serve as a generator is refused by name, before anything is built."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3 import DQN, PPO, SAC, HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.checks import check_generator
from tests.scripted import BOX, SpacesEnv, WalkEnv, generator, vec_env, walk

try:
    from stable_baselines3.common.buffers import NStepReplayBuffer
except ImportError:  # the pinned stack has none
    NStepReplayBuffer = None


def refused(model, match, batch_size=16):
    with pytest.raises(UnsupportedGenerator, match=match) as error:
        check_generator("gail", model, batch_size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn"])
def test_what_works_passes(name):
    check_generator("gail", generator(name, VecNormalize(walk(name), norm_reward=False)), 16)


def test_no_environment(tmp_path):
    generator("ppo").save(tmp_path / "model")
    refused(PPO.load(tmp_path / "model", device="cpu"), "PPO has no environment.*set_env")


def test_vec_normalize_of_rewards():
    refused(generator("ppo", VecNormalize(walk("ppo"))), "use norm_reward=False")


def normalized():
    return gym.wrappers.NormalizeReward(WalkEnv())


@pytest.mark.parametrize(
    "kind", [DummyVecEnv, lambda makers: SubprocVecEnv(makers, start_method="fork")], ids=["same", "other"]
)
def test_gymnasiums_normalize_reward_in_this_process_and_in_another(kind):
    env = kind([normalized])
    try:
        refused(generator("ppo", env), "NormalizeReward wraps the environment")
    finally:
        env.close()


def test_recurrent_policies():
    model = RecurrentPPO("MlpLstmPolicy", walk("ppo"), n_steps=16, device="cpu", policy_kwargs={"lstm_hidden_size": 4})
    refused(model, "RecurrentPPO has a recurrent policy.*use ppo, a2c or trpo, with stacked frames")


def test_policies_that_are_not_sb3s_actor_critic():
    masked = ActionMasker(WalkEnv(spaces.Discrete(3)), lambda env: np.ones(3, bool))
    refused(MaskablePPO("MlpPolicy", masked, n_steps=16, device="cpu"), "MaskableActorCriticPolicy.*use ppo, a2c or trpo")


class GoalEnv(SpacesEnv):
    def __init__(self):
        box = spaces.Box(-1, 1, (2,), np.float32)
        super().__init__(spaces.Dict(observation=box, achieved_goal=box, desired_goal=box), BOX)

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -np.linalg.norm(achieved_goal - desired_goal, axis=-1)


def test_hindsight_replay():
    model = SAC("MultiInputPolicy", vec_env(GoalEnv), replay_buffer_class=HerReplayBuffer, buffer_size=100, device="cpu")
    refused(model, "HerReplayBuffer cannot be relabeled.*use SB3's plain ReplayBuffer")


@pytest.mark.skipif(NStepReplayBuffer is None, reason="Stable-Baselines3 has no n-step buffer")
def test_n_step_returns_of_sb3_pass():
    check_generator("gail", generator("dqn", n_steps=3), 16)


def test_a_buffer_of_the_users_own():
    class Prioritized(ReplayBuffer):
        pass

    model = DQN("MlpPolicy", walk("dqn"), replay_buffer_class=Prioritized, buffer_size=100, device="cpu")
    refused(model, "Prioritized cannot be relabeled")


@pytest.mark.parametrize("optimize_memory_usage", [True, False])
def test_buffers_that_forget_time_limits(optimize_memory_usage):
    model = SAC(
        "MlpPolicy",
        walk("sac"),
        buffer_size=100,
        optimize_memory_usage=optimize_memory_usage,
        replay_buffer_kwargs={"handle_timeout_termination": False},
        device="cpu",
    )
    refused(model, "optimize_memory_usage=True or handle_timeout_termination=False stores no time limits")


def test_too_few_transitions_for_a_batch_of_distinct_ones():
    refused(generator("ppo"), r"a rollout \(n_steps x n_envs\) holds 64 transitions.*is 65.*raise n_steps", 65)
    refused(generator("sac"), r"the replay buffer holds 400 transitions.*is 401.*raise buffer_size", 401)
    check_generator("gail", generator("ppo"), 64)
    check_generator("gail", generator("sac"), 400)
