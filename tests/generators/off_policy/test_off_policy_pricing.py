"""Replay buffers that price what is sampled, and fakes drawn from them."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.off_policy.pricing import OffPolicyCallback, executed_actions, relabeled
from ganq_irl.generators.off_policy.replay import replaying
from tests.scripted import CONTINUOUS, OFF_POLICY, CountingEnv, FakeAdversary, SpacesEnv, generator, imitator, vec_env, walk


def run(model, n_steps, adversary):
    """Train ``model`` with a fake adversary; returns what it learned from."""
    view = relabeled(model.replay_buffer, adversary.price)
    with replaying(model, view):
        model.learn(n_steps, callback=OffPolicyCallback(adversary.train, 16, np.random.default_rng(0)))
    return view


def zero(observations, actions, next_observations, dones):
    return torch.zeros(len(dones))


@pytest.mark.parametrize("name", OFF_POLICY)
def test_sampled_rewards_are_todays_and_stored_ones_the_environments(name):
    """Rewards in imitation's replay buffer go stale; here they are the discriminator's of the moment."""
    adversary = FakeAdversary(lambda observations, *_: observations[:, 0] * 3)
    one_step = {"n_steps": 1} if name == "gan-q" else {}
    buffer = run(generator(name, **one_step), 60, adversary)
    paid = -np.abs(buffer.next_observations[: buffer.pos, :, 0])  # WalkEnv's own
    np.testing.assert_allclose(buffer.rewards[: buffer.pos], paid, rtol=1e-5)
    samples = buffer.sample(32)
    torch.testing.assert_close(samples.rewards, samples.observations[:, :1] * 3)
    adversary.reward = lambda observations, *_: observations[:, 0] * -5
    samples = buffer.sample(32)
    torch.testing.assert_close(samples.rewards, samples.observations[:, :1] * -5)


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_a_discriminator_that_learned_more_pays_differently(name):
    gail = imitator("gail", generator(name)).learn(60)
    buffer = relabeled(gail.generator.replay_buffer, gail.price)

    def sample():
        np.random.seed(0)  # noqa: NPY002  # SB3's buffers draw from it
        return buffer.sample(32)

    before = sample()
    callback = OffPolicyCallback(gail.train, 16, np.random.default_rng(0))
    gail.train(callback._fakes(gail.generator.replay_buffer), 1.0)
    after = sample()
    assert torch.equal(before.observations, after.observations)
    assert not torch.equal(before.rewards, after.rewards)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_actions_reach_the_adversary_as_the_environment_took_them(name):
    """SB3 stores them scaled to [-1, 1]; here the bounds are lopsided."""
    taken = []

    class Spy(CountingEnv):
        def step(self, action):
            taken.append(float(action[0]))
            return super().step(action)

    lopsided = spaces.Box(-1.0, 5.0, (1,), np.float32)
    adversary = FakeAdversary(zero)
    model = generator(name, DummyVecEnv([lambda: Spy(action_space=lopsided)]))
    run(model, 60, adversary)
    stored = set(np.round(model.replay_buffer.actions[:60].ravel(), 4))
    assert max(stored) <= 1 < max(taken)
    known = np.sort(np.array(taken))
    for batch in adversary.batches:
        for action in batch.actions.flatten().tolist():
            assert np.abs(known - action).min() < 1e-5


def test_actions_of_several_axes_keep_their_shape():
    space = spaces.Box(-2.0, 4.0, (2, 3), np.float32)
    executed = executed_actions(torch.tensor([[-1.0, 0, 1, -1, 0, 1]]), space)
    assert executed.tolist() == [[[-2, 1, 4], [-2, 1, 4]]]
    assert executed_actions(torch.tensor([[2], [0]]), spaces.Discrete(3)).tolist() == [2, 0]


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_under_vec_normalize_the_adversary_sees_raw_and_the_generator_normalized_observations(name):
    env = VecNormalize(walk(name, bonus=1e6), norm_reward=False)
    adversary = FakeAdversary(lambda observations, *_: observations[:, 0])
    model = generator(name, env)
    buffer = run(model, 60, adversary)
    raw = {tuple(row) for row in buffer.observations[: buffer.pos].reshape(-1, 2).tolist()}
    for batch in adversary.batches:
        assert {tuple(row) for row in batch.observations.tolist()} <= raw
    adversary.priced.clear()
    samples = buffer.sample(32, env=model.get_vec_normalize_env())
    (priced,) = adversary.priced
    expected = env.normalize_obs(priced.observations.numpy())
    np.testing.assert_allclose(samples.observations.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(
        samples.next_observations.numpy(), env.normalize_obs(priced.next_observations.numpy()), atol=1e-6
    )
    torch.testing.assert_close(samples.rewards.flatten(), priced.observations[:, 0])
    paid = 1e6 - np.abs(buffer.next_observations[: buffer.pos, :, 0])
    np.testing.assert_allclose(buffer.rewards[: buffer.pos], paid, rtol=1e-6)


def test_dict_observations_under_vec_normalize():
    space = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32), b=spaces.Discrete(3))
    env = VecNormalize(
        vec_env(SpacesEnv, observation_space=space, action_space=spaces.Discrete(2)), norm_reward=False, norm_obs_keys=["a"]
    )
    adversary = FakeAdversary(lambda observations, *_: observations["a"][:, 0])
    buffer = run(generator("dqn", env), 60, adversary)
    adversary.priced.clear()
    samples = buffer.sample(8, env=env)
    assert isinstance(samples, DictReplayBufferSamples)
    torch.testing.assert_close(samples.rewards.flatten(), adversary.priced[0].observations["a"][:, 0])
    assert not torch.equal(samples.observations["a"], adversary.priced[0].observations["a"])
    assert torch.equal(samples.observations["b"], adversary.priced[0].observations["b"])


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_fakes_are_distinct_transitions_that_happened(name):
    """imitation gave its discriminator one unique transition in a batch of 16."""
    adversary = FakeAdversary(zero)
    buffer = run(generator(name), 60, adversary)
    assert adversary.fakes
    stored = {
        tuple(row)
        for row in np.concatenate([buffer.observations, buffer.next_observations], 2)[: buffer.pos].reshape(-1, 4).tolist()
    }
    for fakes in adversary.fakes:
        for fake in fakes:
            rows = torch.cat([fake.observations, fake.next_observations], 1)
            assert len(rows.unique(dim=0)) == len(rows) == 16
            assert {tuple(row) for row in rows.tolist()} <= stored


def test_fakes_come_from_every_environment_and_from_a_full_buffer():
    envs = DummyVecEnv([lambda i=i: CountingEnv(i) for i in range(3)])
    adversary = FakeAdversary(zero)
    assert run(generator("sac", envs, buffer_size=60, learning_starts=10), 120, adversary).full
    seen = torch.cat([fake.observations[:, 0] for fake in adversary.fakes[-1]])
    assert seen.unique().tolist() == [0, 1, 2]


def test_a_time_limit_is_not_a_termination():
    """CountingEnv's episodes end by turns: after three steps truly, after four at a limit."""
    adversary = FakeAdversary(zero)
    run(generator("sac", DummyVecEnv([CountingEnv, CountingEnv])), 120, adversary)
    for batch in adversary.batches:
        episode, step = batch.next_observations[:, 1], batch.next_observations[:, 2]
        terminated = (episode % 2 == 0) & (step == 3)
        assert torch.equal(batch.dones, terminated.float())
    assert any(batch.dones.any() for batch in adversary.priced)
    assert any(
        ((batch.next_observations[:, 1] % 2 == 1) & (batch.next_observations[:, 2] == 4)).any() for batch in adversary.priced
    )


def test_the_adversary_waits_for_a_batch_of_distinct_transitions_and_for_the_generators_start():
    adversary = FakeAdversary(zero)
    run(generator("sac", walk("sac", n_envs=1), learning_starts=0, train_freq=1), 40, adversary)
    assert len(adversary.fakes) == 40 - 15  # from the 16th transition on
    waiting = FakeAdversary(zero)
    run(generator("sac", walk("sac", n_envs=1), learning_starts=30, train_freq=1), 40, waiting)
    assert len(waiting.fakes) == 10
    assert waiting.progress == pytest.approx([1 - step / 40 for step in range(31, 41)])


def test_a_buffer_too_small_for_a_batch_is_an_error():
    with pytest.raises(
        UnsupportedGenerator, match=r"the replay buffer holds 32 transitions.*raise buffer_size or lower batch_size"
    ):
        imitator("gail", generator("sac", buffer_size=33), batch_size=33)  # two environments halve it


def test_what_the_buffer_held_before_stays():
    model = generator("sac")
    model.learn(20)
    before = model.replay_buffer.observations[:10].copy()
    run(model, 20, FakeAdversary(zero))
    np.testing.assert_array_equal(model.replay_buffer.observations[:10], before)


@pytest.mark.parametrize("name", ["sac", "gan-q"])
def test_what_is_saved_in_the_middle_of_a_run_is_the_stored_buffer(name, tmp_path):
    model = generator(name)
    plain = type(model.replay_buffer)
    view = run(model, 60, FakeAdversary(zero))
    with replaying(model, view):
        model.save_replay_buffer(tmp_path / "buffer.pkl")
    model.load_replay_buffer(tmp_path / "buffer.pkl")
    assert type(model.replay_buffer) is plain
    assert model.replay_buffer.pos == view.pos > 0
    np.testing.assert_array_equal(model.replay_buffer.observations, view.observations)
    np.testing.assert_array_equal(model.replay_buffer.rewards, view.rewards)


def test_a_view_has_no_arrays_of_its_own():
    model = generator("sac")
    view = relabeled(model.replay_buffer, zero)
    assert isinstance(view, ReplayBuffer)
    assert view.observations is model.replay_buffer.observations
    model.learn(20)
    assert (view.size(), view.pos, view.full) == (10, 10, False)
    view.reset()
    assert model.replay_buffer.size() == 0
