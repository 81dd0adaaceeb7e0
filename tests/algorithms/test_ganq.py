"""GAN-Q keeps what SB3 promises of a DQN, on whatever DQN runs on, with every option of the discriminator package."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize
from torch.nn.utils import parameters_to_vector

from ganq_irl.algorithms import GANQ
from ganq_irl.discriminator import LOSSES, STABILIZERS
from ganq_irl.errors import ConfigurationError, GanqIrlError, IncompatibleSpaces, TrainingDiverged
from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer
from ganq_irl.generators.options import LinearSchedule
from ganq_irl.networks.return_models import ConcatenatedModel, LocationShapeModel
from tests.algorithms.ganq_examples import MODES, SMALL, VECTOR, collected, same_state, small, spaces_env, walk_env

IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
OBSERVATIONS = {
    "vector": ("MlpPolicy", VECTOR),
    "discrete": ("MlpPolicy", spaces.Discrete(4)),
    "multi-binary": ("MlpPolicy", spaces.MultiBinary(3)),
    "image": ("CnnPolicy", IMAGE),
    "dict": ("MultiInputPolicy", spaces.Dict(place=VECTOR, goal=spaces.Discrete(3))),
    "dict-image": ("MultiInputPolicy", spaces.Dict(pixels=IMAGE, place=VECTOR)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_every_kind_of_observation(kind, mode):
    policy, space = OBSERVATIONS[kind]
    model = small(spaces_env(space), policy, mode=mode).learn(30)
    assert model._n_updates > 0
    env = model.get_env()
    observations = env.reset()
    actions, _ = model.predict(observations, deterministic=True)
    assert all(env.action_space.contains(action) for action in actions)
    samples = model.return_distribution(observations, n=5)
    assert samples.shape == (env.num_envs, 3, 5)
    assert np.isfinite(samples).all()


def test_cartpole_from_its_name_and_by_default():
    model = GANQ("MlpPolicy", "CartPole-v1", learning_starts=32, seed=0, device="cpu").learn(64)
    assert model._n_updates == 32
    assert model.predict(model.get_env().reset())[0].shape == (1,)


def test_other_actions_than_discrete_are_refused():
    with pytest.raises(IncompatibleSpaces, match="gan-q acts in Discrete spaces, and the actions are Box"):
        GANQ("MlpPolicy", "Pendulum-v1", device="cpu")


@pytest.mark.parametrize("mode", MODES)
def test_equal_seeds_give_equal_bits_and_others_do_not(mode):
    first, second, other = (small(walk_env(2), mode=mode, seed=seed).learn(80) for seed in (3, 3, 4))
    assert first._n_updates > 0
    assert same_state(first, second)
    assert not same_state(first, other)


@pytest.mark.parametrize(
    ("options", "updates"),
    [
        ({"train_freq": 4, "gradient_steps": 3}, 33),  # after steps 20, 24, ..., 60
        ({"train_freq": (1, "step"), "gradient_steps": 1}, 44),
        ({"train_freq": (2, "episode"), "gradient_steps": 1}, None),
        ({"train_freq": 4, "gradient_steps": -1}, 44),
    ],
)
def test_train_freq_and_gradient_steps(options, updates):
    model = small(**options).learn(60)
    assert model._n_updates == updates if updates else model._n_updates > 0
    assert model.learner.n_updates == model._n_updates


def test_vectorized_environments_and_the_pace_of_the_target():
    """A hard copy after every target_update_interval environment steps, over all environments, and none between."""
    model = small(walk_env(2), target_update_interval=40, train_freq=2, gradient_steps=1)
    targets = {}

    def watch(variables, _):
        targets[model.num_timesteps] = parameters_to_vector(model.q_net_target.parameters()).detach().clone()
        return True

    model.learn(130, watch)
    steps = list(targets)
    changes = [now for before, now in itertools.pairwise(steps) if not torch.equal(targets[before], targets[now])]
    assert changes == [42, 82, 122]  # SB3 calls back before it copies


def test_vec_normalize_observations_are_normalized_by_todays_statistics():
    env = VecNormalize(walk_env(2), norm_reward=False)
    model = small(env).learn(80)
    assert model._n_updates > 0
    buffer = model.replay_buffer
    np.random.seed(0)  # noqa: NPY002  # SB3's buffers draw from it
    raw = buffer.sample(16)
    np.random.seed(0)  # noqa: NPY002
    batch, _, _ = model._sample(16)
    np.testing.assert_allclose(batch.observations, env.normalize_obs(raw.observations.numpy()), atol=1e-6)
    np.testing.assert_allclose(batch.next_observations, env.normalize_obs(raw.next_observations.numpy()), atol=1e-6)
    assert not torch.allclose(batch.observations, raw.observations)


def test_callbacks_of_all_kinds(tmp_path):
    seen = []
    evaluation = EvalCallback(walk_env(), eval_freq=20, n_eval_episodes=1, best_model_save_path=str(tmp_path), verbose=0)
    checkpoint = CheckpointCallback(20, str(tmp_path / "checkpoints"))
    small().learn(60, [evaluation, checkpoint])
    assert evaluation.evaluations_timesteps == [] or evaluation.n_calls == 60
    assert (tmp_path / "best_model.zip").is_file()
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3
    small().learn(40, lambda variables, _: seen.append(variables["num_collected_steps"]) or True)
    assert len(seen) == 40
    stopped = small().learn(10_000, CallbackList([StopTrainingOnMaxEpisodes(3, verbose=0)]))
    assert stopped.num_timesteps < 100


class Rates(BaseCallback):
    """Learning rates of both sides after each update."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        rates = [owner.optimizer.param_groups[0]["lr"] for owner in (self.model.policy, self.model.learner)]
        self.rows.append((self.num_timesteps, *rates))


def test_both_learning_rates_follow_their_schedules_over_one_run():
    model = small(learning_rate=LinearSchedule(1e-2, 0.0), critic_learning_rate=lambda remaining: 0.1 + remaining)
    rates = Rates()
    model.learn(200, rates)
    rows = [row for row in rates.rows if row[0] > SMALL["learning_starts"] + 4]
    assert len(rows) > 40
    for step, ours, critics in rows:
        assert ours == pytest.approx(1e-2 * (1 - step / 200))
        assert critics == pytest.approx(0.1 + 1 - step / 200)


def test_learning_goes_on():
    model = small().learn(60)
    updates, before = model._n_updates, parameters_to_vector(model.q_net.parameters()).detach()
    model.learn(40, reset_num_timesteps=False)
    assert model.num_timesteps == 100
    assert model._n_updates > updates
    assert not torch.equal(before, parameters_to_vector(model.q_net.parameters()))
    model.learn(20)
    assert model.num_timesteps == 20


def test_exploration_follows_its_schedule_and_prediction_can_be_greedy():
    rates = []
    model = small(exploration_fraction=0.5, exploration_initial_eps=1.0, exploration_final_eps=0.2)
    model.learn(100, lambda variables, _: rates.append(variables["self"].exploration_rate) or True)
    np.testing.assert_allclose(rates[1:], np.maximum(0.2, 1 - 0.8 * np.arange(1, 100) / 50), atol=1e-6)
    observations = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    greedy, _ = model.predict(observations, deterministic=True)
    np.testing.assert_array_equal(greedy, model.policy.q_values(torch.as_tensor(observations)).argmax(1))
    model.exploration_rate = 1.0
    assert len({model.predict(observations[0])[0].item() for _ in range(60)}) == 3


def is_contradiction(name, loss):
    return STABILIZERS[name].needs_log_ratio and not LOSSES[loss].has_log_ratio


@pytest.mark.parametrize(("i", "loss"), enumerate(LOSSES))
def test_every_loss_and_every_stabilizer(i, loss):
    """Each loss trains with every third stabilizer, each stabilizer with every third loss, and all in both modes.

    The contract of the stabilizers has all pairs.
    """
    for j, name in enumerate([None, *STABILIZERS]):
        if (i + j) % 3:
            continue
        mode, stabilizers = MODES[(i // 3 + j) % 2], [] if name is None else [name]
        if name is not None and is_contradiction(name, loss):
            with pytest.raises(ConfigurationError, match="log-ratio"):
                small(loss=loss, stabilizers=stabilizers, mode=mode)
            continue
        model = small(loss=loss, stabilizers=stabilizers, mode=mode).learn(24)
        assert model.learner.n_updates == 4
        assert torch.isfinite(parameters_to_vector(model.policy.parameters())).all()


def test_virtual_batch_norm_takes_its_reference_from_the_first_batch():
    model = small(stabilizers=["virtual-batch-norm"])
    collected(model)
    network = model.learner.discriminator.network
    assert not network.reference.any()
    batch, rewards, discounts = model._sample(8)
    model._step((batch, rewards, discounts), measures=False)
    known = {tuple(row) for row in batch.observations.tolist()}
    assert {tuple(row[:2]) for row in network.reference.tolist()} <= known
    reference = network.reference.clone()
    model._step(model._sample(8), measures=False)
    assert torch.equal(network.reference, reference)


def test_an_averaged_discriminator_is_what_scores_for_the_generator():
    model = small(stabilizers=[{"name": "averaged-discriminator", "decay": 0.5}]).learn(60)
    average, live = model.learner.scorer, model.learner.discriminator
    assert average is not live
    batch, _, _ = model._sample(8)
    fake = replace(batch, returns=torch.randn(8, model.n_samples))
    expected = -average.score(average.encode(fake)).mean()
    torch.testing.assert_close(model.learner.generator_loss(fake), expected)
    assert not torch.isclose(expected, -live.score(live.encode(fake)).mean())


def test_log_names_of_one_update(tmp_path):
    model = small()
    model.set_logger(configure(str(tmp_path), ["csv", "tensorboard"]))
    model.learn(120, log_interval=1)
    header = (tmp_path / "progress.csv").read_text().splitlines()[0].split(",")
    expected = {"train/loss", "train/generator_loss", "train/value", "train/spread", "train/learning_rate"}
    assert expected | {"critic/loss", "critic/penalty/zero-centered-gradient-penalty"} <= set(header)
    assert any(path.name.startswith("events") for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "papr"}, "did you mean 'paper'"),
        ({"n_samples": 0}, "n_samples"),
        ({"n_steps": 0}, "n_steps"),
        ({"average_rate": 0.0}, "average_rate"),
        ({"average_rate": 1.5}, "average_rate"),
        ({"td_weight": -0.1}, "td_weight"),
        ({"critic_n_basis": 0}, "n_basis: given 0"),
        ({"critic_n_basis": 8, "mode": "paper"}, "mode='paper'"),
        ({"noise": "stratifeid"}, "did you mean 'stratified'"),
        ({"loss": "wasserstien"}, "did you mean 'wasserstein'"),
        ({"stabilizers": ["spectral"]}, "spectral-norm"),
        ({"policy_kwargs": {"return_model": "location"}}, "location-shape"),
        ({"policy_kwargs": {"action_network": "outputz"}}, "did you mean 'outputs'"),
        ({"policy_kwargs": {"risk": "cvar"}}, "level"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(ConfigurationError, match=message):
        small(**options)


def test_a_schedule_shortens_the_windows_of_replay():
    model = small(n_steps=LinearSchedule(5, 1)).learn(200)
    assert model.replay_buffer.n_steps == 1  # at the end of the run
    lengths = {}
    for remaining in (1.0, 0.5, 0.0):
        model._current_progress_remaining = remaining
        model.train(1, 16)
        lengths[remaining] = model.replay_buffer.n_steps
    assert lengths == {1.0: 5, 0.5: 3, 0.0: 1}
    model._current_progress_remaining = 0.5
    model.train(1, 16)
    _, _, discounts = model._sample(64)
    assert discounts[discounts > 0].min().item() == pytest.approx(model.gamma**3, rel=1e-5)


@pytest.mark.parametrize("options", [{"n_steps": LinearSchedule(1, 1)}, {"replay_buffer_class": ReplayBuffer}])
def test_a_schedule_of_windows_needs_replay_that_has_them(options):
    with pytest.raises(ConfigurationError, match="start the schedule above 1"):
        small(**{"n_steps": LinearSchedule(5, 1), **options})


def test_divergence_is_an_error_and_not_a_policy_of_nans():
    model = collected(small())
    with torch.no_grad():
        next(model.q_net.parameters()).fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="critic_learning_rate"):
        model.train(1, 8)
    assert issubclass(TrainingDiverged, GanqIrlError)


def test_the_settings_of_the_modes():
    ours, paper = small(), small(mode="paper")
    assert (paper.n_samples, paper.average_rate, paper.loss) == (1, 1.0, "wasserstein")
    assert paper.stabilizers == [{"name": "gradient-penalty", "weight": 10.0}]
    assert isinstance(paper.q_net, ConcatenatedModel)
    assert isinstance(ours.q_net, LocationShapeModel)
    assert type(paper.replay_buffer) is ReplayBuffer
    assert isinstance(ours.replay_buffer, NStepReplayBuffer)
    given = small(mode="paper", n_steps=3, n_samples=2, average_rate=0.5, stabilizers=[])  # wins over the mode
    assert (given.replay_buffer.n_steps, given.n_samples, given.average_rate, given.stabilizers) == (3, 2, 0.5, [])


def test_a_td_term_makes_the_mean_follow_the_targets():
    rows = []
    for weight in (0.0, 5.0):
        model = collected(small(td_weight=weight))
        before = parameters_to_vector(model.q_net.parameters()).detach()
        model._step(model._sample(8), measures=False)
        rows.append(parameters_to_vector(model.q_net.parameters()).detach() - before)
    assert not torch.equal(*rows)
