"""FastPPO is an SB3 PPO to every caller, and leaves to SB3's own code whatever it cannot do exactly."""

import copy
import logging

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize
from torch import nn
from torch.nn.utils import parametrizations

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.errors import TrainingDiverged
from ganq_irl.generators.policies.store import load_policy, save_policy
from tests.scripted import SpacesEnv, WalkEnv, demonstrations, flat, generator, imitator, vec_env, walk

BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
DISCRETE = spaces.Discrete(2)
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)


class Doubled(FlattenExtractor):
    """A features extractor of somebody's own."""

    def forward(self, observations):
        return 2 * super().forward(observations)


class Careful(ActorCriticPolicy):
    """A policy that evaluates in a way of its own."""

    def evaluate_actions(self, obs, actions):
        values, log_prob, entropy = super().evaluate_actions(obs, actions)
        return values, log_prob, 2 * entropy


class WithDropout(ActorCriticPolicy):
    """A policy whose networks are random while it learns."""

    def _build_mlp_extractor(self):
        super()._build_mlp_extractor()
        self.mlp_extractor.policy_net.append(nn.Dropout(0.5))


class Narrow(ActorCriticPolicy):
    """A subclass that changes nothing but sizes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "net_arch": [4]})


class Decayed(ActorCriticPolicy):
    """A subclass that asks for an optimizer of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "optimizer_kwargs": {"weight_decay": 0.1}})


class OwnBuffer(RolloutBuffer):
    """A rollout buffer of somebody's own."""


def build(cls, policy="MlpPolicy", env=None, **options):
    small = {"n_steps": 32, "batch_size": 32, "n_epochs": 2, "seed": 0, "device": "cpu"}
    return cls(policy, walk("ppo") if env is None else env, **{**small, **options})


def spaces_env(observation_space=BOX, action_space=DISCRETE):
    return vec_env(SpacesEnv, 2, observation_space=observation_space, action_space=action_space)


@pytest.mark.parametrize(
    ("reason", "policy", "observation_space", "action_space", "options"),
    [
        ("Dict space", "MultiInputPolicy", spaces.Dict({"a": BOX, "b": BOX}), DISCRETE, {}),
        ("Discrete space", "MlpPolicy", spaces.Discrete(5), DISCRETE, {}),
        ("images", "CnnPolicy", IMAGE, DISCRETE, {}),
        ("images", "MlpPolicy", IMAGE, DISCRETE, {}),
        ("MultiDiscrete space", "MlpPolicy", BOX, spaces.MultiDiscrete([2, 3]), {}),
        ("MultiBinary space", "MlpPolicy", BOX, spaces.MultiBinary(3), {}),
        ("state-dependent", "MlpPolicy", BOX, spaces.Box(-1, 1, (2,)), {"use_sde": True}),
        ("class Doubled", "MlpPolicy", BOX, DISCRETE, {"policy_kwargs": {"features_extractor_class": Doubled}}),
        ("GELU layer", "MlpPolicy", BOX, DISCRETE, {"policy_kwargs": {"activation_fn": nn.GELU}}),
        ("Careful overrides evaluate_actions", Careful, BOX, DISCRETE, {}),
        ("Dropout", WithDropout, BOX, DISCRETE, {}),
        ("class OwnBuffer", "MlpPolicy", BOX, DISCRETE, {"rollout_buffer_class": OwnBuffer}),
    ],
)
def test_what_is_left_to_sb3_is_sb3_to_the_last_bit(reason, policy, observation_space, action_space, options, caplog):
    models = []
    for cls in (PPO, FastPPO):  # one after the other: the spaces are shared, and samples drawn from them
        models.append(build(cls, policy, spaces_env(observation_space, action_space), **options))
        models[-1].learn(128 if policy != "CnnPolicy" else 64)
    assert reason in models[1].slow_reason
    assert models[1].slow_reason in caplog.text
    assert torch.equal(flat(models[0].policy), flat(models[1].policy))
    assert models[0].logger.name_to_value.keys() == models[1].logger.name_to_value.keys()
    assert len(caplog.records) == 1, "said once, not at every turn"


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("hooks", lambda policy: policy.action_net.register_forward_hook(lambda *_: None)),
        ("hooks", lambda policy: policy.value_net.weight.register_hook(lambda gradient: gradient)),
        ("frozen", lambda policy: policy.value_net.bias.requires_grad_(False)),
        ("float64", lambda policy: policy.double()),
        ("beside those of SB3's networks", lambda policy: policy.register_parameter("extra", nn.Parameter(torch.ones(1)))),
        ("share parameters", lambda policy: setattr(policy.mlp_extractor, "value_net", policy.mlp_extractor.policy_net)),
        ("ParametrizedLinear", lambda policy: parametrizations.spectral_norm(policy.action_net)),
        ("overrides forward", lambda policy: setattr(policy, "forward", policy.forward)),
    ],
)
def test_what_was_changed_after_building_is_noticed_when_learn_begins(reason, change, caplog):
    model = build(FastPPO)
    assert model.slow_reason is None
    assert not caplog.records
    change(model.policy)
    model._setup_learn(64)
    assert reason in model.slow_reason
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_subclasses_that_change_only_sizes_stay_fast():
    assert build(FastPPO, Narrow).slow_reason is None


@pytest.mark.parametrize(
    ("policy", "policy_kwargs"),
    [
        ("MlpPolicy", {}),
        ("MlpPolicy", {"optimizer_kwargs": {"eps": 1e-4}}),
        ("MlpPolicy", {"optimizer_class": torch.optim.RMSprop}),
        (Decayed, {}),
    ],
)
def test_the_optimizer_is_the_one_of_the_policy(policy, policy_kwargs):
    theirs, ours = (build(cls, policy, policy_kwargs=dict(policy_kwargs)).learn(64) for cls in (PPO, FastPPO))
    assert ours.slow_reason is None
    assert type(ours.policy.optimizer) is type(theirs.policy.optimizer)
    given, wanted = (model.policy.optimizer.state_dict() for model in (ours, theirs))
    assert given["param_groups"] == wanted["param_groups"]
    assert [set(state) for state in given["state"].values()] == [set(state) for state in wanted["state"].values()]
    torch.testing.assert_close(flat(ours.policy), flat(theirs.policy), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("saved_as", "loaded_as"), [(FastPPO, FastPPO), (FastPPO, PPO), (PPO, FastPPO)])
def test_models_are_saved_and_loaded_across_the_two(saved_as, loaded_as, tmp_path):
    model = build(saved_as).learn(128)
    model.save(tmp_path / "model")
    loaded = loaded_as.load(tmp_path / "model", env=walk("ppo", seed=1), device="cpu")
    assert torch.equal(flat(loaded.policy), flat(model.policy))
    given, wanted = (m.policy.optimizer.state_dict()["state"] for m in (loaded, model))
    assert given.keys() == wanted.keys() != set()
    for key, state in wanted.items():
        assert all(torch.equal(given[key][name], tensor) for name, tensor in state.items())
    observations = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(*(m.predict(observations, deterministic=True)[0] for m in (model, loaded)))

    again = PPO.load(tmp_path / "model", env=walk("ppo", seed=1), device="cpu")
    for continued in (loaded, again):
        continued.set_random_seed(5)
        continued.learn(128, reset_num_timesteps=False)
    assert loaded.num_timesteps == 256
    torch.testing.assert_close(flat(loaded.policy), flat(again.policy), rtol=0, atol=1e-6)


def test_its_policy_is_stored_without_pickling(tmp_path):
    model = build(FastPPO).learn(64)
    save_policy(model, tmp_path / "policy")
    stored = load_policy(tmp_path / "policy", device="cpu")
    assert stored.algorithm == "FastPPO"
    assert torch.equal(flat(stored.policy), flat(model.policy))


class Witness(BaseCallback):
    """What a callback finds in its locals at each step."""

    def __init__(self, stop_after=np.inf):
        super().__init__()
        self.seen, self.stop_after = [], stop_after

    def _on_step(self):
        names = ("actions", "clipped_actions", "new_obs", "rewards", "dones", "infos", "n_steps", "n_rollout_steps")
        found = {name: copy.copy(self.locals[name]) for name in names}  # bootstraps are added to rewards in place later
        self.seen.append(found | {"num_timesteps": self.num_timesteps})
        assert self.locals["self"] is self.model
        assert self.locals["rollout_buffer"] is self.model.rollout_buffer
        assert torch.is_grad_enabled()
        return self.n_calls < self.stop_after

    def _on_rollout_end(self):
        assert torch.is_grad_enabled()
        self.seen.append({name: self.locals[name] for name in ("values", "log_probs", "dones")})


@pytest.mark.parametrize("stop_after", [np.inf, 40])
def test_callbacks_see_what_they_see_in_sb3(stop_after):
    witnesses = []
    for cls in (PPO, FastPPO):
        witness = Witness(stop_after)
        model = build(cls).learn(128, callback=witness)
        witnesses.append((witness.seen, model.num_timesteps, model._n_updates))
    (wanted, *counts), (given, *same_counts) = witnesses
    assert counts == same_counts
    assert len(given) == len(wanted)
    for ours, theirs in zip(given, wanted, strict=True):
        infos = [[{**info, "episode": None} for info in step.pop("infos", [])] for step in (ours, theirs)]
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
            assert np.shape(ours[name]) == np.shape(value), name
        for left, right in zip(*infos, strict=True):
            assert left.keys() == right.keys()


def test_evaluation_during_training_and_tensorboard_are_sb3s(tmp_path):
    found = []
    for cls in (PPO, FastPPO):
        callback = EvalCallback(walk("ppo", seed=9), eval_freq=20, n_eval_episodes=2, deterministic=False, verbose=0)
        model = build(cls, tensorboard_log=str(tmp_path / cls.__name__)).learn(128, callback=callback)
        assert list((tmp_path / cls.__name__ / "PPO_1").glob("events*"))
        found.append((list(model.logger.name_to_value), callback.last_mean_reward))
    assert found[0][0] == found[1][0]
    assert found[1][1] == pytest.approx(found[0][1], abs=1e-4)


def test_rewards_may_come_in_an_array_that_is_used_again():
    class Reusing(VecEnvWrapper):
        rewards = np.zeros(2, np.float32)

        def reset(self):
            return self.venv.reset()

        def step_wait(self):
            observations, self.rewards[:], dones, infos = self.venv.step_wait()
            return observations, self.rewards, dones, infos

    learned = [flat(build(cls, env=Reusing(walk("ppo"))).learn(128).policy) for cls in (PPO, FastPPO)]
    torch.testing.assert_close(*learned, rtol=0, atol=1e-6)


def test_divergence_is_an_error():
    class Broken(WalkEnv):
        def _observation(self):
            return np.full(2, np.nan if self.steps > 5 else 0, np.float32)

        def step(self, action):
            return super().step(np.nan_to_num(action))

        def reset(self, **kwargs):
            self.steps = 0
            return super().reset(**kwargs)

    with pytest.raises(TrainingDiverged, match="log-probabilities"):
        build(FastPPO, env=vec_env(Broken)).learn(64)
    model = build(FastPPO, env=vec_env(WalkEnv, bonus=float("inf")))
    with pytest.raises(TrainingDiverged, match="parameters are no longer finite"):
        model.learn(64)


@pytest.mark.parametrize("algorithm", sorted({"gail", "airl"} & ALGORITHMS.keys()))
@pytest.mark.parametrize("normalize_values", [False, True])
def test_imitation_with_it_is_imitation_with_sb3s(algorithm, normalize_values):
    """Rewards withheld, priced at the rollout's end, and PopArt: what it leaves in the buffer is what they build on."""
    learned = []
    for name in ("ppo", "fast-ppo"):
        model = generator(name, VecNormalize(walk(name), norm_reward=False))
        imitation = imitator(algorithm, model, demonstrations(WalkEnv()), normalize_values=normalize_values)
        imitation.learn(3 * 64)
        learned.append((flat(model.policy), flat(imitation.learner.discriminator), model.rollout_buffer))
    assert generator("fast-ppo").slow_reason is None
    (policy, discriminator, buffer), (our_policy, our_discriminator, our_buffer) = learned
    for field in ("rewards", "values", "log_probs", "advantages", "returns"):
        np.testing.assert_allclose(getattr(our_buffer, field), getattr(buffer, field), rtol=1e-4, atol=1e-5, err_msg=field)
    torch.testing.assert_close(our_policy, policy, rtol=0, atol=2e-6)
    torch.testing.assert_close(our_discriminator, discriminator, rtol=0, atol=2e-6)
