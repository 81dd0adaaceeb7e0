"""n-step samples against SB3's own, against the definition, under VecNormalize, and saved."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.generators.off_policy.n_step import NStepDictReplayBuffer, NStepReplayBuffer
from tests.generators.off_policy.n_step_examples import (
    GAMMA,
    KEYS,
    SB3S,
    draws,
    empty,
    n_step_kwargs,
    needs_sb3s,
    one_by_one,
    random_buffer,
    sample,
    store,
    walk_line,
)
from tests.scripted import SpacesEnv, generator, vec_env, walk


def paid_env(n_envs=2):
    """A VecNormalize of observations and rewards with statistics of its own."""
    env = VecNormalize(
        vec_env(SpacesEnv, n_envs, observation_space=spaces.Box(-9, 9, (2,)), action_space=spaces.Discrete(5))
    )
    env.obs_rms.mean, env.obs_rms.var, env.ret_rms.var = np.array([1.0, -2.0]), np.array([4.0, 9.0]), np.array(25.0)
    return env


@needs_sb3s
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("n_envs", "n_stored"), [(1, 30), (2, 30), (3, 137)])
def test_equal_to_sb3s_own(n_envs, n_stored, normalized):
    env = paid_env() if normalized else None
    ours, theirs = (sample(random_buffer(cls, n_envs, 50, n_stored, seed=1), env) for cls in (NStepReplayBuffer, SB3S))
    for name in ours._fields:
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("n_envs", [1, 3])
def test_one_step_is_sb3s_plain_buffer(n_envs):
    plain = lambda *args, n_steps, gamma, **kwargs: ReplayBuffer(*args, **kwargs)  # noqa: E731
    theirs = sample(random_buffer(plain, n_envs, 50, 137, seed=2))
    ours = sample(random_buffer(NStepReplayBuffer, n_envs, 50, 137, seed=2, n_steps=1))
    for name in ("observations", "actions", "next_observations", "dones", "rewards"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    assert torch.equal(ours.discounts, torch.full((200, 1), 0.9))


@settings(max_examples=60, deadline=None)
@given(
    n_envs=st.integers(1, 3),
    size=st.integers(1, 12),
    n_stored=st.integers(1, 40),
    n_steps=st.integers(1, 15),
    seed=st.integers(0, 10**6),
)
def test_equal_to_the_definition(n_envs, size, n_stored, n_steps, seed):
    buffer = random_buffer(NStepReplayBuffer, n_envs, size, n_stored, seed, n_steps)
    before = {key: getattr(buffer, key).copy() for key in ("rewards", "dones", "timeouts")}
    samples = sample(buffer, batch_size=30, seed=seed)
    for row, (start, env) in enumerate(zip(*draws(buffer, 30, seed), strict=True)):
        total, last, done, discount = one_by_one(buffer, start, env)
        assert samples.rewards[row].item() == pytest.approx(total, abs=1e-4)
        assert samples.next_observations[row].tolist() == buffer.next_observations[last, env].tolist()
        assert samples.dones[row].item() == done
        assert samples.discounts[row].item() == pytest.approx(discount, rel=1e-5)
    for key, value in before.items():
        np.testing.assert_array_equal(getattr(buffer, key), value)


def test_dict_observations():
    buffer = store(empty(cls=NStepDictReplayBuffer, space=KEYS), *walk_line(10, {3: "end"}))
    samples = buffer._get_samples(np.array([2, 4]))
    assert samples.observations["a"].tolist() == samples.observations["b"].tolist() == [[2], [4]]
    assert samples.next_observations["a"].tolist() == samples.next_observations["b"].tolist() == [[4], [7]]
    assert samples.rewards.tolist() == [[3 + GAMMA * 4], [5 + GAMMA * 6 + GAMMA**2 * 7]]
    assert isinstance(buffer, DictReplayBuffer)


def test_vec_normalize_of_observations_and_rewards():
    """Rewards are scaled one by one and clipped, before they are summed."""
    env, buffer = paid_env(), random_buffer(NStepReplayBuffer, 2, 50, 60, seed=3)
    env.clip_reward = 0.1
    raw, scaled = sample(buffer), sample(buffer, env)
    np.testing.assert_allclose(scaled.observations, env.normalize_obs(raw.observations.numpy()), rtol=1e-6)
    np.testing.assert_allclose(scaled.next_observations, env.normalize_obs(raw.next_observations.numpy()), rtol=1e-6)
    stored = buffer.rewards.copy()
    buffer.rewards = env.normalize_reward(stored).astype(np.float32)
    torch.testing.assert_close(scaled.rewards, sample(buffer).rewards)
    assert scaled.rewards.abs().max() <= 0.1 * sum(0.9**k for k in range(4)) + 1e-6
    for ours in (scaled.dones, scaled.discounts, scaled.observations, scaled.next_observations):
        assert ours.dtype == torch.float32


def test_dict_observations_under_vec_normalize():
    env = VecNormalize(vec_env(SpacesEnv, observation_space=KEYS, action_space=spaces.Discrete(5)), norm_obs_keys=["a"])
    env.obs_rms["a"].mean = np.array([1.0])
    samples = store(empty(cls=NStepDictReplayBuffer, space=KEYS), *walk_line(6))._get_samples(np.array([2]), env=env)
    assert samples.observations["b"].item() == 2
    assert samples.observations["a"].item() == pytest.approx(1.0, abs=1e-3)
    assert samples.next_observations["a"].item() == pytest.approx(4.0, abs=1e-3)


def test_saved_and_loaded_by_sb3(tmp_path):
    env = walk("dqn")
    model = generator("dqn", env, **n_step_kwargs(env)).learn(60)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    other = generator("dqn", walk("dqn"), **n_step_kwargs(env, n_steps=2))
    other.load_replay_buffer(tmp_path / "buffer.pkl")
    assert type(other.replay_buffer) is NStepReplayBuffer
    assert (other.replay_buffer.n_steps, other.replay_buffer.gamma) == (3, 0.99)
    for mine, theirs in zip(sample(model.replay_buffer), sample(other.replay_buffer), strict=True):
        assert torch.equal(mine, theirs)


@needs_sb3s
def test_sb3s_algorithms_learn_the_same_from_ours_as_from_their_own():
    env = walk("dqn")
    ours = generator("dqn", env, **n_step_kwargs(env)).learn(100)
    theirs = generator("dqn", n_steps=3).learn(100)
    for mine, other in zip(ours.policy.parameters(), theirs.policy.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
