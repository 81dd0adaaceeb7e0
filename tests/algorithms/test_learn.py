"""One ``learn()``: the generator's own schedules, callbacks, logger and environment behave as in SB3."""

import itertools
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from ganq_irl.algorithms import GAIL, adversarial
from ganq_irl.discriminator import Encoded
from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.generators.policies.outputs import log_probs
from ganq_irl_demos import random_policy, record_episodes, to_imitation
from tests.scripted import (
    BOX,
    OFF_POLICY,
    ON_POLICY,
    SpacesEnv,
    demonstrations,
    flat,
    generator,
    global_random_state,
    imitator,
    vec_env,
    walk,
)

ALL = (*ON_POLICY, *OFF_POLICY)


class Memory(KVWriter):
    """Everything that a logger was told to write."""

    def __init__(self):
        self.written = []

    def write(self, key_values, key_excluded, step=0):
        self.written.append(dict(key_values))

    def close(self):
        pass

    def column(self, key):
        return [float(row[key]) for row in self.written if key in row]


def logged(model):
    memory = Memory()
    model.set_logger(Logger(None, [memory]))
    return memory


class Watch(BaseCallback):
    """Values of a function of the model at every step."""

    def __init__(self, function):
        super().__init__()
        self.function, self.values = function, []

    def _on_step(self):
        self.values.append(self.function(self.model))
        return True


def test_learning_rate_and_clip_schedules_run_over_the_whole_run():
    """In imitation a linear learning-rate schedule is 0 in every round."""
    model = generator("ppo", learning_rate={"initial": 1e-3, "final": 0.0}, clip_range={"initial": 0.4, "final": 0.2})
    memory = logged(model)
    imitator("gail", model, learning_rate=lambda progress: progress).learn(256)
    assert memory.column("train/learning_rate") == pytest.approx([0.75e-3, 0.5e-3, 0.25e-3])  # the last is not dumped
    assert memory.column("train/clip_range") == pytest.approx([0.35, 0.3, 0.25])
    assert model.policy.optimizer.param_groups[0]["lr"] == 0


def test_the_discriminators_learning_rate_follows_its_schedule():
    rates = []
    gail = imitator("gail", generator("ppo"), learning_rate=lambda progress: 1e-3 * progress + 1e-4)
    gail.learn(256, callback=RolloutEnds(lambda model: rates.append(gail.learner.optimizer.param_groups[0]["lr"])))
    assert rates == pytest.approx([0.85e-3, 0.6e-3, 0.35e-3, 1e-4])


class RolloutEnds(BaseCallback):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.function(self.model)


def test_a_linear_rate_never_turns_negative_when_a_rollout_overshoots():
    model = generator("ppo", learning_rate={"initial": 1e-3, "final": 0.0})
    imitator("gail", model, learning_rate=lambda progress: progress).learn(100)  # two rollouts of 64
    assert model.policy.optimizer.param_groups[0]["lr"] == 0


@pytest.mark.parametrize("name", ["dqn", "qrdqn"])
def test_exploration_follows_its_schedule(name):
    """In imitation a DQN generator's ε is at its final value by the third step."""
    model = generator(name, walk(name, n_envs=1), exploration_fraction=0.5, exploration_final_eps=0.1)
    epsilon = Watch(lambda model: model.exploration_rate)
    imitator("gail", model).learn(100, callback=epsilon)
    # Callbacks run before a step's own update of ε: the first sees that of the construction.
    expected = [max(0.1, 1 - 0.9 * step / 50) for step in range(1, 100)]
    assert epsilon.values[1:] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_users_evaluation_and_best_model_work_inside(name, tmp_path):
    evaluation = EvalCallback(
        walk(name, n_envs=1, seed=9),
        eval_freq=20,
        n_eval_episodes=2,
        best_model_save_path=str(tmp_path),
        log_path=str(tmp_path),
        verbose=0,
    )
    checkpoint = CheckpointCallback(30, str(tmp_path), save_replay_buffer=True)
    imitator("gail", generator(name)).learn(128, callback=[evaluation, checkpoint])
    assert len(evaluation.evaluations_results) == 3
    assert (tmp_path / "best_model.zip").is_file()
    assert (tmp_path / "evaluations.npz").is_file()
    saved = next(tmp_path.glob("rl_model_*_steps.zip"))
    restored = type(generator(name)).load(saved, env=walk(name), device="cpu")
    restored.predict(np.zeros((1, 2), np.float32))


@pytest.mark.filterwarnings("error:Training and eval env are not of the same type")
@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_evaluation_under_vec_normalize_gets_the_training_statistics(name):
    """SB3 compares the layers of both environments one by one."""
    held_out = VecNormalize(walk(name, n_envs=1, seed=9), norm_reward=False, training=False)
    model = generator(name, VecNormalize(walk(name), norm_reward=False))
    imitator("gail", model).learn(128, callback=EvalCallback(held_out, eval_freq=64, n_eval_episodes=1, verbose=0))
    np.testing.assert_allclose(held_out.obs_rms.mean, model.get_vec_normalize_env().obs_rms.mean)
    assert held_out.obs_rms.count > 100


def test_functions_and_lists_are_callbacks_too():
    calls = []
    imitator("gail", generator("ppo")).learn(64, callback=lambda local, _: calls.append(local["n_steps"]) or True)
    assert len(calls) == 32
    first, second = Watch(lambda model: model.num_timesteps), Watch(lambda model: model.num_timesteps)
    imitator("gail", generator("ppo")).learn(64, callback=[first, second])
    assert first.values == second.values == list(range(2, 65, 2))


def test_anything_else_is_no_callback():
    with pytest.raises(ConfigurationError, match="callback: given a int"):
        imitator("gail", generator("ppo")).learn(64, callback=3)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_callback_can_stop_training(name):
    env = walk(name)
    gail = imitator("gail", generator(name, env))
    gail.learn(1000, callback=lambda local, _: local["self"].num_timesteps < 100)
    assert gail.generator.num_timesteps == 100
    assert gail.generator.get_env() is env


@pytest.mark.parametrize(
    ("name", "normalized"), [*((name, False) for name in ALL), *((name, True) for name in ("ppo", "fast-ppo", "sac", "dqn"))]
)
def test_the_environments_reward_never_reaches_the_generator(name, normalized):
    """Training is bit-identical where every step pays a million more."""
    policies = []
    for bonus in (0.0, 1e6):
        env = walk(name, bonus=bonus)
        gail = imitator("gail", generator(name, VecNormalize(env, norm_reward=False) if normalized else env)).learn(66)
        policies.append((flat(gail.policy), flat(gail.learner.discriminator)))
    assert torch.equal(policies[0][0], policies[1][0])
    assert torch.equal(policies[0][1], policies[1][1])


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_logger_shows_the_true_return(name):
    model = generator(name, walk(name, bonus=1000.0))
    memory = logged(model)
    imitator("gail", model).learn(200)
    for true_return, length in zip(memory.column("rollout/ep_rew_mean"), memory.column("rollout/ep_len_mean"), strict=True):
        assert 990 < true_return / length < 1000
    assert memory.column("discriminator/loss")
    assert all(0 <= value <= 1 for value in memory.column("discriminator/real_accuracy"))


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_environment_is_given_back_even_after_an_error(name):
    env = VecNormalize(walk(name), norm_reward=False)
    gail = imitator("gail", generator(name, env)).learn(70)
    assert gail.generator.env is gail.generator.get_env() is gail.generator.get_vec_normalize_env() is env

    def fail(*_):
        raise RuntimeError("the user's")

    with pytest.raises(RuntimeError, match="the user's"):
        gail.learn(70, callback=fail)
    assert gail.generator.env is gail.generator.get_env() is env


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_learning_goes_on_where_it_stopped(name):
    gail = imitator("gail", generator(name)).learn(70)
    updates, steps = gail.learner.n_updates, gail.generator.num_timesteps
    gail.learn(70, reset_num_timesteps=False)
    assert gail.generator.num_timesteps == 2 * steps
    assert gail.learner.n_updates > updates


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_frozen_discriminator_never_moves_and_still_pays(name):
    gail = imitator("gail", generator(name), frozen=True, absorbing=False)
    before, reward = flat(gail.learner.discriminator), gail.recovered_reward()
    policy = flat(gail.policy)
    gail.learn(130)
    assert torch.equal(flat(gail.learner.discriminator), before)
    batch = gail._demonstrations
    torch.testing.assert_close(gail.price(batch), reward.price(batch))
    assert gail.price(batch).std() > 0
    assert not torch.equal(flat(gail.policy), policy)


@pytest.mark.parametrize("algorithm", ["gail", "airl"])
def test_the_global_random_state_is_left_alone(algorithm):
    """By construction and by the adversary's part of training."""
    model, demos = generator("ppo"), demonstrations()
    model.learn(64)
    state = global_random_state()
    imitation = imitator(algorithm, model, demos, stabilizers=["spectral-norm", {"name": "instance-noise"}, "logit-entropy"])
    rows = imitation._demonstrations
    imitation.train(itertools.repeat(rows[:16]), 1.0)
    imitation.price(rows)
    imitation.recovered_reward()
    assert global_random_state() == state


def test_another_seed_of_the_discriminator_is_another_run():
    first, second = (imitator("gail", generator("ppo"), seed=seed).learn(64) for seed in (0, 1))
    assert not torch.equal(flat(first.learner.discriminator), flat(second.learner.discriminator))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: given 0"),
        ({"n_updates": 0}, "n_updates: given 0"),
        ({"n_updates": -0.5}, "n_updates: given -0.5"),
        ({"loss": "bec"}, "did you mean 'bce'"),
        ({"reward": "logd"}, "did you mean 'log-d'"),
        ({"stabilizers": ["spectral-nrom"]}, "did you mean 'spectral-norm'"),
        ({"inputs": ("observation",)}, "inputs"),
    ],
)
def test_wrong_settings_say_what_was_expected(options, message):
    with pytest.raises(ConfigurationError, match=message):
        imitator("gail", generator("ppo"), **options)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ConfigurationError, match="boltzmann_temperature: given 0"):
        imitator("airl", generator("dqn"), boltzmann_temperature=0)


def test_n_updates_are_by_default_eight_a_rollout_and_one_a_collection():
    on_policy = imitator("gail", generator("ppo"), n_updates=None).learn(128)
    assert on_policy.learner.n_updates == 16
    off_policy = imitator("gail", generator("sac"), n_updates=None).learn(60)  # two environments, train_freq 2: 4 steps
    assert off_policy.learner.n_updates == (60 - 40) // 4


def test_a_loss_that_is_not_finite_stops_the_run():
    gail = imitator("gail", generator("ppo"))
    with torch.no_grad():
        gail.learner.discriminator.network.layers[-1].bias.fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="loss is nan"):
        gail.learn(64)


def test_a_reward_that_is_not_finite_stops_the_run():
    gail = imitator("gail", generator("sac"))
    with torch.no_grad():
        gail.learner.discriminator.network.layers[-1].bias.fill_(torch.inf)
    with pytest.raises(TrainingDiverged, match="reward 'logit' is no longer finite"):
        gail.price(gail._demonstrations)


def test_predict_is_the_generators():
    gail = imitator("gail", generator("ppo"))
    observation = np.array([0.5, -0.5], np.float32)
    assert gail.policy is gail.generator.policy
    np.testing.assert_array_equal(
        gail.predict(observation, deterministic=True)[0], gail.generator.predict(observation, deterministic=True)[0]
    )


def test_frames_stacked_by_the_vector_environment_are_what_demonstrations_hold():
    stacked = spaces.Box(-np.inf, np.inf, (4,), np.float32)
    demos = demonstrations(SpacesEnv(stacked, BOX))
    gail = GAIL(generator("ppo", VecFrameStack(vec_env(), 2)), demos, batch_size=16, hidden_sizes=(8,)).learn(64)
    assert gail.learner.n_updates


def test_a_run_too_short_to_train_says_so():
    algorithm = imitator("gail", generator("sac", learning_starts=64))
    with pytest.warns(UserWarning, match="ends before the generator's learning_starts=64"):
        algorithm.learn(32)


def test_imitations_time_limits_are_known_by_the_environments_id():
    env = gym.make("Pendulum-v1")
    recorded = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 2, seed=0)
    theirs = [replace(trajectory, terminal=True, infos=None) for trajectory in to_imitation(recorded)]
    model = generator("ppo", make_vec_env("Pendulum-v1", 2, seed=0))
    assert not GAIL(model, theirs, batch_size=16)._demonstrations.dones.any()


@pytest.mark.parametrize("n_updates", [8, 1])
def test_log_pi_is_given_to_all_rows_at_once_where_that_is_less_work(n_updates, monkeypatch):
    """A rollout of 64 rows, and demonstrations of more than 16: 8 draws of 16 rows are more than either, 1 is less."""
    run, lengths = imitator("airl", generator("ppo"), n_updates=n_updates, reward="f"), []
    monkeypatch.setattr(adversarial, "log_probs", lambda *given: lengths.append(len(given[1])) or log_probs(*given))
    run.learn(64)
    n_demonstrations = len(run._demonstrations)
    assert 16 < n_demonstrations <= 128
    assert lengths == ([64, n_demonstrations] if n_updates == 8 else [16, 16])


@pytest.mark.parametrize("algorithm", ["gail", "airl"])
def test_a_round_whose_rows_are_encoded_once_learns_the_same(algorithm, monkeypatch):
    """To the bit: which rows are drawn, and what each of them becomes, is what it was."""
    once = imitator(algorithm, generator("ppo"), n_updates=8).learn(128)
    assert isinstance(once._pool(once._demonstrations), Encoded)
    each = imitator(algorithm, generator("ppo"), n_updates=8)
    monkeypatch.setattr(each, "_pool", lambda batch: batch)
    each.learn(128)
    assert torch.equal(flat(once.learner.discriminator), flat(each.learner.discriminator))
    assert torch.equal(flat(once.generator.policy), flat(each.generator.policy))


def test_batches_of_a_rollout_are_distinct_rows_in_shuffled_epochs(monkeypatch):
    run, drawn = imitator("gail", generator("ppo"), n_updates=1, batch_size=16), []
    monkeypatch.setattr(run, "train", lambda fakes, progress: drawn.extend(itertools.islice(fakes, 6)))
    rollout = run._demonstrations[:40].map(torch.clone)
    rollout.dones[:] = torch.arange(40)
    run._train_on_rollout(rollout, 1.0)
    for start in range(0, 6, 2):  # two batches of 16 to an epoch of 40
        epoch = torch.cat([batch.dones for batch in drawn[start : start + 2]])
        assert len(epoch.unique()) == len(epoch) == 32
