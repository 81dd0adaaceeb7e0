import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize, VecTransposeImage

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.on_policy.recorder import TransitionRecorder
from tests.scripted import CountingEnv, SpacesEnv, vec_env

CPU = torch.device("cpu")


def counting(n_envs=2, **kwargs):
    return DummyVecEnv([lambda i=i: CountingEnv(i, **kwargs) for i in range(n_envs)])


def run(env, n_steps, actions=None):
    """Step the recorder; returns it, and what it gave back."""
    observed = [env.reset()]
    recorder = TransitionRecorder(env, observed=lambda: observed[-1])
    zeros = np.zeros((env.num_envs, *env.action_space.shape), env.action_space.dtype)
    returned = []
    for step in range(n_steps):
        returned.append(recorder.step(zeros if actions is None else actions[step]))
        observed.append(returned[-1][0])
    return recorder, returned


def test_rows_are_what_the_environments_did():
    """Two episodes of each environment: three steps to a termination, four to a time limit."""
    recorder, _ = run(counting(), 7)
    batch = recorder.transitions(CPU)
    expected = []  # (number, episode, step before, step after, terminated), environments of one step side by side
    for episode, length in ((0, 3), (1, 4)):
        expected += [
            (number, episode, step, step + 1, episode == 0 and step + 1 == length)
            for step in range(length)
            for number in range(2)
        ]
    assert batch.observations.tolist() == [[n, e, s] for n, e, s, _, _ in expected]
    assert batch.next_observations.tolist() == [[n, e, after] for n, e, _, after, _ in expected]  # never the reset's
    assert batch.dones.tolist() == [float(terminated) for *_, terminated in expected]
    assert batch.dones.dtype == torch.float32


def test_environments_that_end_apart_keep_their_own_ends():
    env = DummyVecEnv([lambda: CountingEnv(0, ((2, True),)), lambda: CountingEnv(1, ((3, False),))])
    recorder, _ = run(env, 3)
    batch = recorder.transitions(CPU)
    assert batch.dones.view(3, 2).tolist() == [[0, 0], [1, 0], [0, 0]]
    assert batch.next_observations.view(3, 2, 3)[1, 0].tolist() == [0, 0, 2]
    assert batch.observations.view(3, 2, 3)[2, 0].tolist() == [0, 1, 0]


def test_actions_are_kept_as_they_were_sent_even_if_the_caller_reuses_the_array():
    env = counting(1)
    recorder = TransitionRecorder(env, observed=env.reset)
    action = np.zeros((1, 1), np.float32)
    for value in (0.25, -0.5):
        action[:] = value
        recorder.step(action)
    assert recorder.transitions(CPU).actions.flatten().tolist() == [0.25, -0.5]


def test_ends_are_kept_even_if_the_environment_reuses_the_array():
    class OneArray(DummyVecEnv):
        ends = np.zeros(1, bool)

        def step_wait(self):
            observations, rewards, dones, infos = super().step_wait()
            self.ends[:] = dones
            return observations, rewards, self.ends, infos

    recorder, _ = run(OneArray([lambda: CountingEnv(0, ((2, True), (2, False)))]), 4)
    assert recorder.transitions(CPU).dones.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("reward", [7.0, 7])
def test_the_reward_withheld_is_a_fresh_array_of_float_zeros(reward):
    """SB3 adds γV(terminal) in place: to a shared array it would add up, to integers it would be cut."""
    _, returned = run(counting(reward=reward), 3)
    rewards = [step[1] for step in returned]
    assert all(array.dtype == np.float32 and not array.any() for array in rewards)
    rewards[0] += 0.5
    assert not rewards[1].any()


def test_integer_rewards_of_other_processes_become_float_zeros():
    env = SubprocVecEnv([lambda: CountingEnv(reward=7)], start_method="fork")
    try:
        env.reset()
        assert env.step(np.zeros((1, 1), np.float32))[1].dtype.kind == "i"  # or this test would show nothing
        _, returned = run(env, 1)
        assert returned[0][1].dtype == np.float32
    finally:
        env.close()


def test_clear_forgets_transitions_and_not_where_the_environment_stands():
    recorder, _ = run(counting(1), 2)
    recorder.clear()
    recorder.step(np.zeros((1, 1), np.float32))
    batch = recorder.transitions(CPU)
    assert batch.observations.tolist() == [[0, 0, 2]]
    assert batch.next_observations.tolist() == [[0, 0, 3]]


def test_observations_are_those_before_vec_normalize():
    plain, _ = run(counting(), 14)
    normalized, returned = run(VecNormalize(counting(), norm_reward=False, clip_obs=1e9), 14)
    assert not np.allclose(returned[-1][0], plain.transitions(CPU).next_observations[-2:])  # the policy's are normalized
    for field in ("observations", "next_observations", "dones", "actions"):
        torch.testing.assert_close(getattr(normalized.transitions(CPU), field), getattr(plain.transitions(CPU), field))


def test_dict_observations_with_an_image_under_vec_normalize():
    space = spaces.Dict(pixels=spaces.Box(0, 255, (36, 40, 3), np.uint8), place=spaces.Box(-1, 1, (2,), np.float32))
    action_space = spaces.Discrete(2)

    seen = []

    class Spy(SpacesEnv):
        def step(self, action):
            result = super().step(action)
            seen.append(result[0])
            return result

    env = vec_env(Spy, 1, observation_space=space, action_space=action_space)
    recorder, _ = run(VecTransposeImage(VecNormalize(env, norm_reward=False, norm_obs_keys=["place"])), 12)
    batch = recorder.transitions(CPU)
    assert batch.observations["pixels"].shape == (12, 3, 36, 40)
    assert batch.observations["pixels"].dtype == torch.uint8
    pixels = np.stack([observation["pixels"] for observation in seen]).transpose(0, 3, 1, 2)
    place = np.stack([observation["place"] for observation in seen])
    np.testing.assert_array_equal(batch.next_observations["pixels"].numpy(), pixels)
    np.testing.assert_allclose(batch.next_observations["place"].numpy(), place, atol=1e-5)


def test_discrete_observations_and_actions_stay_integers():
    env = vec_env(SpacesEnv, 2, observation_space=spaces.Discrete(5), action_space=spaces.MultiDiscrete([2, 3]))
    recorder, _ = run(env, 7)
    batch = recorder.transitions(CPU)
    assert batch.observations.shape == (14,)
    assert batch.observations.dtype == batch.actions.dtype == torch.int64
    assert batch.actions.shape == (14, 2)


def test_float64_observations_become_float32():
    env = vec_env(SpacesEnv, 1, observation_space=spaces.Box(-1, 1, (2,), np.float64), action_space=spaces.Discrete(2))
    recorder, _ = run(env, 7)
    batch = recorder.transitions(CPU)
    assert batch.observations.dtype == batch.next_observations.dtype == torch.float32


def test_a_rollout_that_went_another_way_is_an_error():
    """Were a release of SB3 to step the environment itself, there would be nothing to price."""
    recorder, _ = run(counting(1), 0)
    with pytest.raises(UnsupportedGenerator, match="without stepping the recorded environment"):
        recorder.transitions(CPU)
