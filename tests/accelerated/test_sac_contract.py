"""FastSAC and FastTD3 are SB3's to every caller, and leave to SB3's own code whatever they cannot do exactly."""

import logging

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.sac.policies import Actor, SACPolicy
from torch import nn

from ganq_irl.accelerated.sac import FastSAC, FastTD3, support
from ganq_irl.errors import TrainingDiverged
from ganq_irl.generators.acceleration import copied, original_method
from ganq_irl.generators.policies.store import load_policy, save_policy
from ganq_irl.networks.critic_policies import SACLayerNormPolicy
from tests.scripted import BOX, SpacesEnv, flat, generator, vec_env, walk

VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
SMALL = {"buffer_size": 200, "learning_starts": 20, "batch_size": 16, "device": "cpu", "seed": 0}
PAIRS = [(FastSAC, SAC), (FastTD3, TD3)]


class Doubled(FlattenExtractor):
    """A features extractor of somebody's own."""

    def forward(self, observations):
        return 2 * super().forward(observations)


class Careful(SACPolicy):
    """A policy that acts in a way of its own."""

    def _predict(self, observation, deterministic=False):
        return 0.5 * super()._predict(observation, deterministic)


class OwnActor(SACPolicy):
    """A policy with an actor of its own."""

    def make_actor(self, features_extractor=None):
        class Bounded(Actor):
            def get_action_dist_params(self, obs):
                mean, log_std, kwargs = super().get_action_dist_params(obs)
                return 0.5 * mean, log_std, kwargs

        actor = super().make_actor(features_extractor)
        actor.__class__ = Bounded
        return actor


class Narrow(SACLayerNormPolicy):
    """A subclass that changes nothing but sizes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "net_arch": [4]})


def built(algorithm=FastSAC, policy="MlpPolicy", env=None, **options):
    options = {"policy_kwargs": {"net_arch": [8]}, **SMALL, **options}
    return algorithm(policy, walk("sac", n_envs=1) if env is None else env, **options)


REASONS = [
    ("state-dependent exploration", {"use_sde": True}),
    ("a GELU layer", {"policy_kwargs": {"activation_fn": nn.GELU, "net_arch": [4]}}),
    ("features extractor of class Doubled", {"policy_kwargs": {"features_extractor_class": Doubled}}),
    ("another optimizer", {"policy_kwargs": {"optimizer_class": torch.optim.AdamW}}),
    ("another optimizer", {"policy_kwargs": {"optimizer_kwargs": {"amsgrad": True}}}),
    ("overrides _predict", {"policy": Careful}),
    ("overrides get_action_dist_params", {"policy": OwnActor}),
]


@pytest.mark.parametrize(("reason", "options"), REASONS)
def test_what_is_left_to_sb3_is_sb3_to_the_last_bit(reason, options, caplog):
    with caplog.at_level(logging.WARNING):
        model = built(FastSAC, **options)
    assert reason in model.slow_reason
    assert f"FastSAC runs Stable-Baselines3's own code here: {model.slow_reason}" in caplog.text
    ours, theirs = (flat(built(kind, **options).learn(40).policy) for kind in (FastSAC, SAC))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("reason", "space", "policy"),
    [
        ("observations of a Dict space", spaces.Dict({"a": VECTOR}), "MultiInputPolicy"),
        ("observations of a Discrete space", spaces.Discrete(3), "MlpPolicy"),
        ("observations are images", IMAGE, "MlpPolicy"),
    ],
)
def test_other_observations_are_left_to_sb3(reason, space, policy):
    env = vec_env(SpacesEnv, 1, observation_space=space, action_space=BOX)
    assert built(FastSAC, policy, env, buffer_size=30).slow_reason == reason


def freeze(model):
    next(model.actor.parameters()).requires_grad_(False)


def hook(model):
    model.critic.register_forward_hook(lambda *_: None)


def share(model):
    model.critic_target.qf0[0].weight = model.critic.qf0[0].weight


def extend(model):
    model.actor.temperature = nn.Parameter(torch.ones(1))


def cast(model):
    model.critic_target.double()


def replace(model):
    model.actor.optimizer = torch.optim.SGD(model.actor.parameters(), lr=1e-3)


def overriding(model):
    model.critic.forward = lambda *arguments: type(model.critic).forward(model.critic, *arguments)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("is frozen", freeze),
        ("have hooks", hook),
        ("share parameters", share),
        ("a parameter temperature", extend),
        ("different types", cast),
        ("another optimizer", replace),
        ("overrides forward", overriding),
    ],
)
@pytest.mark.parametrize("algorithm", [FastSAC, FastTD3])
def test_what_was_changed_after_building_is_noticed_when_learn_begins(algorithm, reason, change):
    model = built(algorithm)
    assert model.slow_reason is None
    change(model)
    model.learn(1)
    assert reason in model.slow_reason


def test_another_release_of_sb3_is_left_to_itself(monkeypatch):
    monkeypatch.setitem(support._COPIED, SAC, (copied(SAC, "train", "0" * 12),))
    assert "SAC.train of Stable-Baselines3" in built(FastSAC).slow_reason


def test_subclasses_that_change_only_sizes_stay_fast():
    assert built(FastSAC, Narrow).slow_reason is None
    assert built(type("Mine", (FastTD3,), {})).slow_reason is None


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("direction", [(0, 0), (0, 1), (1, 0)])
def test_models_are_saved_and_loaded_across_the_two(pair, direction, tmp_path):
    saved_as, loaded_as = (pair[index] for index in direction)
    model = built(saved_as).learn(40)
    model.save(tmp_path / "model")
    loaded = loaded_as.load(tmp_path / "model", env=walk("sac", n_envs=1), device="cpu")
    assert type(loaded) is loaded_as
    assert torch.equal(flat(loaded.policy), flat(model.policy))
    both = []
    loaded.set_logger(model.logger)
    for each in (model, loaded):
        each.replay_buffer = model.replay_buffer
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  # SB3's buffer draws from it
        each.train(5, 16)
        both.append(flat(each.policy))
    torch.testing.assert_close(*both, rtol=1e-4, atol=1e-6)
    assert getattr(loaded, "slow_reason", None) is None


@pytest.mark.parametrize("algorithm", [FastSAC, FastTD3])
def test_parameters_that_are_set_while_it_learns_are_learned_from(algorithm):
    model, other = built(algorithm).learn(40), built(algorithm, seed=1).learn(40)
    model.set_parameters(other.get_parameters())
    if algorithm is FastSAC:
        model.log_ent_coef.data = other.log_ent_coef.detach().clone()  # as SB3's load does it
    other.replay_buffer = model.replay_buffer
    for each in (model, other):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        each.train(3, 16)
    assert torch.equal(flat(model.policy), flat(other.policy))


def test_a_policy_that_stands_in_for_a_moment_acts_and_changes_nothing():
    model, other = built(FastTD3), built(FastTD3, seed=1)
    observation, own, before = model.env.reset(), model.policy, flat(model.policy)
    model.policy = other.policy
    np.testing.assert_array_equal(model.predict(observation)[0], other.predict(observation)[0])
    model.policy = own
    for parameter, theirs in zip(own.parameters(), other.policy.parameters(), strict=True):
        parameter.data = theirs.data.clone()
    np.testing.assert_array_equal(model.predict(observation)[0], other.predict(observation)[0])
    assert not torch.equal(flat(model.policy), before)


@pytest.mark.parametrize("pair", PAIRS)
def test_predict_is_sb3s_for_any_shape_of_observation(pair):
    ours, theirs = (built(kind, env=walk("sac", n_envs=2)) for kind in pair)
    for observation in (ours.env.reset(), ours.env.reset()[0], np.zeros((5, *ours.observation_space.shape), np.float32)):
        for deterministic in (False, True):
            actions = []
            for model in (ours, theirs):
                torch.manual_seed(0)
                actions.append(model.predict(observation, deterministic=deterministic)[0])
            np.testing.assert_allclose(actions[0], actions[1], rtol=1e-6, atol=1e-7)
            assert actions[0].dtype == actions[1].dtype
    with pytest.raises(ValueError, match="shape"):
        ours.predict(np.zeros((2, 99), np.float32))


class Watch(BaseCallback):
    """Notes what a callback sees, and stops after some steps."""

    def __init__(self, stop_after):
        super().__init__()
        self.stop_after, self.seen = stop_after, []

    def _on_step(self):
        self.seen.append((self.num_timesteps, sorted(self.locals), self.model._n_updates))
        return self.num_timesteps < self.stop_after


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("stop_after", [np.inf, 30])
def test_callbacks_see_what_they_see_in_sb3(pair, stop_after):
    watches = [Watch(stop_after) for _ in pair]
    for kind, watch in zip(pair, watches, strict=True):
        built(kind).learn(40, callback=watch)
    assert watches[0].seen == watches[1].seen
    assert watches[0].seen


def test_evaluation_during_training_is_sb3s():
    results = []
    for kind in (FastSAC, SAC):
        callback = EvalCallback(walk("sac", n_envs=1, seed=5), n_eval_episodes=2, eval_freq=20, verbose=0)
        built(kind, env=walk("sac", n_envs=1)).learn(60, callback=callback)
        results.append(callback.last_mean_reward)
    assert results[0] == pytest.approx(results[1], rel=1e-3)


@pytest.mark.parametrize("algorithm", [FastSAC, FastTD3])
def test_divergence_is_an_error(algorithm):
    model = built(algorithm).learn(30)
    model.replay_buffer.rewards[:] = np.inf
    with pytest.raises(TrainingDiverged, match=r"no longer finite after \d+ steps; lower the learning rate"):
        model.train(1, 16)


def test_its_policy_is_stored_without_pickling(tmp_path):
    model = built().learn(40)
    save_policy(model, tmp_path / "policy")
    observation = model.env.reset()
    loaded = load_policy(tmp_path / "policy").predict(observation, deterministic=True)[0]
    np.testing.assert_array_equal(loaded, model.predict(observation, deterministic=True)[0])


@pytest.mark.parametrize(("name", "kind"), [("fast-sac", FastSAC), ("fast-td3", FastTD3)])
def test_they_are_generators_by_name(name, kind):
    model = generator(name, policy="LayerNormCriticPolicy")
    assert type(model) is kind
    assert model.slow_reason is None


def test_their_train_counts_as_sb3s_and_a_subclass_s_own_does_not():
    class Mine(FastSAC):
        def train(self, gradient_steps, batch_size=64):
            pass

    assert original_method(FastSAC, "train") is SAC.train
    assert original_method(FastTD3, "train") is TD3.train
    assert original_method(Mine, "train") is Mine.train
