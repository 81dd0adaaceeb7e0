"""SQIL's batches: half demonstrated with reward 1, half the generator's own with reward 0, and both stored alike."""

import pickle

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.save_util import load_from_pkl
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import SQIL
from ganq_irl.errors import IncompatibleSpaces, InvalidDemonstrations, UnsupportedGenerator
from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer
from ganq_irl.generators.options import LinearSchedule
from ganq_irl_demos import Demonstrations, Trajectory, to_imitation
from tests.scripted import (
    BOX,
    OFF_POLICY,
    CountingEnv,
    SpacesEnv,
    WalkEnv,
    action_space_of,
    demonstrations,
    demonstrations_for,
    flat,
    generator,
    pushed_home,
    vec_env,
    walk,
)


def batch_of(sqil, batch_size=16, n_steps=60):
    """What the generator would learn from after ``n_steps``."""
    sqil.learn(n_steps)
    with sqil._installed():
        return sqil.generator.replay_buffer.sample(batch_size, env=sqil.generator.get_vec_normalize_env())


def rows_in(rows, table):
    """Whether each row occurs in a table."""
    return [bool((table == row).all(axis=1).any()) for row in rows]


@pytest.mark.parametrize("name", OFF_POLICY)
def test_every_generator_gets_half_a_batch_of_demonstrations_with_reward_1(name):
    demos = demonstrations_for(name)
    batch = batch_of(SQIL(generator(name), demos))
    table = np.concatenate([one.observations[:-1] for one in demos])
    assert rows_in(batch.observations.numpy(), table) == [False] * 8 + [True] * 8
    assert not batch.rewards[:8].any()
    if name == "gan-q":  # ten-step returns, shorter where an episode ends
        assert ((batch.rewards[8:] >= 1) & (batch.rewards[8:] < 10)).all()
    else:
        assert (batch.rewards[8:] == 1).all()


@pytest.mark.parametrize("batch_size", [1, 7])
def test_of_an_odd_batch_the_policy_has_one_row_more(batch_size):
    batch = batch_of(SQIL(generator("dqn"), demonstrations_for("dqn")), batch_size)
    assert len(batch.rewards) == batch_size
    assert float(batch.rewards.sum()) == batch_size // 2


def test_demonstrated_actions_are_scaled_as_the_generators_own():
    """imitation's SQIL compares actions of [-2, 2] with the generator's, which SB3 stores in [-1, 1]."""
    demos = demonstrations()
    sqil = SQIL(generator("sac"), demos)
    actions = np.concatenate([one.actions for one in demos])
    assert abs(actions).max() > 1.5
    np.testing.assert_allclose(sqil.expert.buffer.actions[:, 0], actions / 2, atol=1e-6)


def one_trajectory(terminated, truncated, length=5):
    observations = np.arange(2 * (length + 1), dtype=np.float32).reshape(-1, 2) / 10
    trajectory = Trajectory(observations, np.zeros((length, 1), np.float32), terminated=terminated, truncated=truncated)
    return Demonstrations((trajectory,), WalkEnv().observation_space, BOX)


@pytest.mark.parametrize(("terminated", "truncated"), [(True, False), (False, True), (False, False)])
def test_only_a_termination_ends_what_a_state_is_worth(terminated, truncated):
    """A time limit, and a recording that stopped in the middle, leave the last state its value."""
    sqil = SQIL(generator("sac"), one_trajectory(terminated, truncated))
    dones = sqil.expert.draw(5, None).dones
    assert float(dones.sum()) == terminated


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_the_environments_reward_has_no_part_in_it(name):
    runs = [SQIL(generator(name, walk(name, bonus=bonus)), demonstrations_for(name)).learn(66) for bonus in (0.0, 1e6)]
    assert torch.equal(*(flat(run.policy) for run in runs))


def test_nor_has_one_that_was_stored_before():
    model = generator("dqn").learn(60)
    assert model.replay_buffer.rewards[:30].all()
    batch = batch_of(SQIL(model, demonstrations_for("dqn")), n_steps=42)
    assert not batch.rewards[:8].any()


def test_n_step_returns_of_demonstrations_stop_at_their_end():
    kind = {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": {"n_steps": 3, "gamma": 0.5}}
    sqil = SQIL(generator("gan-q", n_steps=3, gamma=0.5, **kind), demonstrations_for("gan-q", n_episodes=2))
    lengths = [len(one) for one in demonstrations_for("gan-q", n_episodes=2)]
    samples = sqil.expert.buffer._get_samples(np.arange(sum(lengths)))
    left = np.concatenate([np.arange(length, 0, -1) for length in lengths]).clip(max=3)
    np.testing.assert_allclose(samples.rewards.flatten(), 2 - 2 * 0.5**left)
    np.testing.assert_allclose(samples.discounts.flatten(), 0.5**left)


def test_windows_of_demonstrations_follow_a_schedule():
    sqil = SQIL(generator("gan-q", n_steps=LinearSchedule(8, 2), gamma=0.5), demonstrations_for("gan-q", n_episodes=2))
    sqil.learn(60)
    assert sqil.expert.buffer.n_steps == sqil.generator.replay_buffer.n_steps < 8


def test_dict_observations_and_images():
    observation_space = spaces.Dict(
        image=spaces.Box(0, 255, (36, 36, 3), np.uint8), vector=spaces.Box(-1, 1, (3,), np.float32)
    )
    make = {"observation_space": observation_space, "action_space": spaces.Discrete(3)}
    demos = demonstrations(SpacesEnv(**make), seed=100)
    model = generator("dqn", vec_env(SpacesEnv, **make), buffer_size=100)
    batch = batch_of(SQIL(model, demos), n_steps=48)
    assert batch.observations["image"].shape == (16, 3, 36, 36)
    images = np.concatenate([one.observations["image"][:-1] for one in demos]).transpose(0, 3, 1, 2)
    found = [(images == image).all(axis=(1, 2, 3)).any() for image in batch.observations["image"].numpy()]
    assert found == [False] * 8 + [True] * 8


def test_both_halves_are_normalized_with_todays_statistics():
    env = VecNormalize(walk("sac"), norm_reward=False)
    demos = demonstrations()
    sqil = SQIL(generator("sac", env), demos)
    batch = batch_of(sqil)
    table = env.normalize_obs(np.concatenate([one.observations[:-1] for one in demos]))
    assert rows_in(batch.observations.numpy()[8:], table.astype(np.float32)) == [True] * 8


def test_the_generator_is_given_back_as_it_was(tmp_path):
    model = generator("sac")
    buffer = model.replay_buffer
    SQIL(model, demonstrations()).learn(60, callback=CheckpointCallback(20, str(tmp_path), save_replay_buffer=True))
    assert model.replay_buffer is buffer
    assert type(buffer) is ReplayBuffer
    assert "expert" not in vars(buffer)
    saved = load_from_pkl(next(tmp_path.glob("*replay_buffer*.pkl")))
    assert type(saved) is ReplayBuffer  # without the demonstrations, so that any algorithm can go on with it
    assert saved.sample(4).rewards.shape == (4, 1)
    pickle.dumps(buffer)


def test_demonstrations_are_drawn_in_epochs():
    sqil = SQIL(generator("sac"), one_trajectory(True, False, length=8))
    drawn = torch.cat([sqil.expert.draw(4, None).observations for _ in range(2)])
    assert sorted(drawn[:, 0].tolist()) == pytest.approx([0.2 * step for step in range(8)])


def test_fewer_demonstrations_than_half_a_batch_are_repeated_equally_often():
    sqil = SQIL(generator("sac"), one_trajectory(True, False, length=2))
    rows = sqil.expert.draw(8, None).observations[:, 0]
    assert sorted(rows.tolist()) == pytest.approx([0.0] * 4 + [0.2] * 4)


class Stored(BaseCallback):
    """Type of the replay buffer while a run is on."""

    def _on_step(self):
        self.kind = type(self.model.replay_buffer)
        return True


def test_users_callbacks_work():
    watch = Stored()
    SQIL(generator("td3"), demonstrations_for("td3")).learn(50, callback=watch)
    assert issubclass(watch.kind, ReplayBuffer)
    assert watch.n_calls == 26


def test_demonstrations_of_imitation():
    sqil = SQIL(generator("dqn"), to_imitation(demonstrations_for("dqn")))
    assert len(sqil.expert) == sum(map(len, demonstrations_for("dqn")))


@pytest.mark.once
def test_it_imitates_in_a_task_that_shows_it():
    """The expert pushes towards 0; the environment pays for the opposite, which must not matter."""
    env = WalkEnv(action_space_of("dqn"))
    sqil = SQIL(generator("dqn", learning_starts=100, learning_rate=1e-2, gamma=0.9), pushed_home(env), seed=1).learn(1500)
    far = np.array([[0.8, 0.0], [-0.8, 0.0]], np.float32)
    assert sqil.predict(far, deterministic=True)[0].tolist() == [0, 2]


@pytest.mark.parametrize("name", ["ppo", "a2c", "trpo"])
def test_on_policy_generators_are_refused(name):
    with pytest.raises(UnsupportedGenerator, match=r"sqil learns from a replay buffer, and .* has none; use") as error:
        SQIL(generator(name), demonstrations_for(name))
    assert "\n" not in str(error.value)


def test_demonstrations_of_another_environment_and_empty_ones_are_refused():
    with pytest.raises(IncompatibleSpaces):
        SQIL(generator("sac"), demonstrations(CountingEnv()))
    with pytest.raises(InvalidDemonstrations):
        SQIL(generator("sac"), Demonstrations((), WalkEnv().observation_space, BOX))


def test_a_run_that_never_trains_warns():
    with pytest.warns(UserWarning, match="learning_starts=40"):
        SQIL(generator("sac"), demonstrations()).learn(20)
