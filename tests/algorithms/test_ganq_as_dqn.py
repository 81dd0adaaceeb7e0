"""GANQ in the place of DQN: what SB3's users and its own tests rely on holds for both."""

import inspect

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common import buffers
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.envs import BitFlippingEnv, FakeImageEnv
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from ganq_irl.algorithms import GANQ
from ganq_irl.errors import ConfigurationError

STATES = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
SMALL = {"buffer_size": 200, "learning_starts": 10, "train_freq": 4, "gradient_steps": 1, "seed": 0, "device": "cpu"}
both = pytest.mark.parametrize("kind", [DQN, GANQ])


class Normalized(BaseFeaturesExtractor):
    """Batch statistics and random units, which tell training from acting."""

    def __init__(self, space):
        super().__init__(space, 4)
        self.layers = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5))

    def forward(self, observations):
        return self.layers(observations)


def build(kind, env="CartPole-v1", policy="MlpPolicy", **options):
    narrow = {} if policy == "CnnPolicy" else {"policy_kwargs": {"net_arch": [8]}}
    return kind(policy, env, **{**SMALL, **narrow, **options})


def test_arguments_have_sb3s_order():
    """So that whatever is given by position means the same; older releases have no ``n_steps``."""
    theirs = list(inspect.signature(DQN).parameters)
    ours = [name for name in inspect.signature(GANQ).parameters if name in theirs or name != "n_steps"]
    assert ours[: len(theirs)] == theirs


@both
def test_parameters_are_dicts_of_tensors_and_optimizers_states(kind):
    parameters = build(kind).learn(40).get_parameters()
    assert {"policy", "policy.optimizer"} <= parameters.keys()
    for name, state in parameters.items():
        if "optim" not in name:
            assert state
            assert all(isinstance(value, torch.Tensor) and value.is_floating_point() for value in state.values())


@both
def test_parameters_are_set_and_what_does_not_fit_is_refused(kind):
    model = build(kind).learn(40)
    given = model.get_parameters()
    drawn = {
        name: state if "optim" in name else {key: torch.rand_like(value) for key, value in state.items()}
        for name, state in given.items()
    }
    other = build(kind, seed=1)
    other.set_parameters(drawn)
    for name, state in other.get_parameters().items():
        if "optim" not in name:
            assert all(torch.equal(value, drawn[name][key]) for key, value in state.items())
    with pytest.raises(ValueError, match="not_there"):
        other.set_parameters({**given, "not_there": {}})
    with pytest.raises(ValueError, match="Names of parameters"):
        other.set_parameters(dict(list(given.items())[:-1]))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.set_parameters({**given, "policy": dict(list(given["policy"].items())[:-1])})
    other.set_parameters({"policy": dict(list(given["policy"].items())[:-1])}, exact_match=False)


@pytest.mark.skipif(
    "weights_only" not in inspect.getsource(BaseModel.load),
    reason="this release of SB3 loads no network with torch 2.6 or newer",
)
@pytest.mark.parametrize(
    ("kind", "generator"), [(DQN, None), (GANQ, "location-shape"), (GANQ, "concatenated"), (GANQ, "branches")]
)
def test_a_value_network_is_saved_by_itself(kind, generator, tmp_path):
    options = {"return_model": generator} if generator in ("location-shape", "concatenated") else {}
    options = {"action_network": generator} if generator == "branches" else options
    network = build(kind, policy_kwargs={"net_arch": [8], **options}).q_net
    network.save(tmp_path / "q_net")
    loaded = type(network).load(tmp_path / "q_net", device="cpu")
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())
    np.testing.assert_array_equal(*(each.predict(STATES, deterministic=True)[0] for each in (network, loaded)))


@both
@pytest.mark.parametrize("optimize", [False, True])
def test_memory_is_saved_where_asked_for(kind, optimize, recwarn):
    settings = {"handle_timeout_termination": not optimize}
    model = build(kind, optimize_memory_usage=optimize, replay_buffer_kwargs=settings)
    assert model.replay_buffer.optimize_memory_usage is optimize
    assert hasattr(model.replay_buffer, "next_observations") is not optimize
    model.learn(40)
    model.learn(40, reset_num_timesteps=False)
    assert not [warning for warning in recwarn if "truncated" in str(warning.message)]
    model.learn(40)
    assert len([warning for warning in recwarn if "truncated" in str(warning.message)]) == optimize


def test_several_steps_and_half_of_the_memory_are_refused_together():
    with pytest.raises(ConfigurationError, match="n-step returns need terminal observations"):
        build(GANQ, optimize_memory_usage=True, n_steps=3)


@pytest.mark.skipif(not hasattr(buffers, "NStepReplayBuffer"), reason="this release of SB3 has none")
@both
def test_n_step_returns_come_from_a_buffer_of_sb3s(kind):
    model = build(kind, n_steps=3, gamma=0.9).learn(40)
    assert isinstance(model.replay_buffer, buffers.NStepReplayBuffer)
    assert (model.replay_buffer.n_steps, model.replay_buffer.gamma) == (3, 0.9)


@both
def test_replay_is_saved_loaded_and_extended(kind, tmp_path):
    model = build(kind).learn(40)
    stored = model.replay_buffer
    model.save_replay_buffer(tmp_path / "replay.pkl")
    model.replay_buffer = None
    model.load_replay_buffer(tmp_path / "replay.pkl")
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(model.replay_buffer, name), getattr(stored, name))
    infos = [[{"TimeLimit.truncated": bool(cut)} for cut in row] for row in stored.timeouts]
    model.replay_buffer.extend(
        stored.observations, stored.next_observations, stored.actions, stored.rewards, stored.dones, infos
    )
    model.learn(20, reset_num_timesteps=False)


@both
def test_exploration_is_epsilon_greedy(kind):
    model = build(kind)
    model.exploration_rate = 1.0
    one, _ = model.predict(STATES[0])
    assert model.action_space.contains(int(one))
    assert one.shape == ()
    many = np.concatenate([model.predict(STATES)[0] for _ in range(8)])
    assert set(many) == {0, 1}
    greedy = [tuple(model.predict(STATES, deterministic=True)[0]) for _ in range(3)]
    assert len(set(greedy)) == 1


@both
def test_targets_follow_at_their_interval_and_by_tau(kind):
    def gap():
        pairs = zip(model.q_net.parameters(), model.q_net_target.parameters(), strict=True)
        return sum(float((one - other).detach().abs().sum()) for one, other in pairs)

    model = build(kind, target_update_interval=20, tau=1.0, learning_rate=1e-3)
    assert gap() == 0
    model.learn(39)
    assert gap() > 0
    model.target_update_interval = 1
    before, model.tau = gap(), 0.5
    model._on_step()
    assert gap() == pytest.approx(before / 2, rel=1e-3)
    model.tau = 0.0
    before = gap()
    model._on_step()
    assert gap() == before


@both
def test_batch_statistics_move_in_training_alone_and_are_copied_to_the_target(kind):
    options = {"net_arch": [8], "features_extractor_class": Normalized}
    idle = build(kind, policy_kwargs=options, gradient_steps=0)
    mean = idle.q_net.features_extractor.layers[0].running_mean
    before = mean.clone()
    idle.learn(40)
    predictions = [tuple(idle.predict(STATES, deterministic=True)[0]) for _ in range(4)]
    assert len(set(predictions)) == 1
    assert torch.equal(mean, before)

    model = build(kind, policy_kwargs=options, tau=0.0, target_update_interval=100)
    target = model.q_net_target.features_extractor.layers[0]
    bias = target.bias.clone()
    model.learn(60)
    model.target_update_interval = 1
    model._on_step()
    own = model.q_net.features_extractor.layers[0]
    assert not torch.isclose(own.running_mean, before).any()
    assert torch.equal(own.running_mean, target.running_mean)
    assert torch.equal(target.bias, bias)


@both
def test_what_was_saved_acts_alike_and_learns_on(kind, tmp_path):
    env = VecNormalize(DummyVecEnv([lambda: gym.make("CartPole-v1")] * 2), norm_reward=False)
    model = build(kind, env, target_update_interval=30).learn(60)
    model.save(tmp_path / "model")
    loaded = kind.load(tmp_path / "model", env=env, device="cpu")
    assert loaded.target_update_interval == 30
    np.testing.assert_array_equal(*(each.predict(STATES, deterministic=True)[0] for each in (model, loaded)))
    loaded.learn(40, reset_num_timesteps=False)
    assert loaded.num_timesteps >= 100


@both
def test_a_seed_decides_everything(kind):
    first, second = (build(kind).learn(60).policy.state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@both
@pytest.mark.parametrize("frequency", [3, (1, "episode"), (5, "step")])
def test_training_is_paced_as_asked(kind, frequency):
    model = build(kind, train_freq=frequency, gradient_steps=-1).learn(60)
    assert 30 <= model._n_updates <= model.num_timesteps


@both
def test_images(kind):
    env = FakeImageEnv(screen_height=36, screen_width=36, n_channels=1, discrete=True)
    options = {"features_extractor_kwargs": {"features_dim": 8}}
    model = build(kind, env, "CnnPolicy", buffer_size=60, policy_kwargs=options).learn(40)
    assert model.predict(env.reset()[0])[0].shape == ()


@both
def test_a_policy_for_images_refuses_what_is_none_unless_told_that_it_is_normalized(kind):
    image = FakeImageEnv(screen_height=36, screen_width=36, n_channels=1, channel_first=True, discrete=True)
    env = VecNormalize(DummyVecEnv([lambda: image]))
    options = {"features_extractor_kwargs": {"features_dim": 8}}
    with pytest.raises(AssertionError, match="only with images"):
        build(kind, env, "CnnPolicy", policy_kwargs=options)
    model = build(kind, env, "CnnPolicy", buffer_size=60, policy_kwargs={**options, "normalize_images": False})
    assert isinstance(model.q_net.features_extractor, NatureCNN)
    model.learn(30)


@both
def test_hindsight_replay(kind):
    env = BitFlippingEnv(n_bits=4, continuous=False)
    model = build(kind, env, "MultiInputPolicy", replay_buffer_class=HerReplayBuffer)
    model.learn(60)
    assert isinstance(model.replay_buffer, ReplayBuffer)
    assert model._n_updates > 0
