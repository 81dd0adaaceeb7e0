"""FastSAC and FastTD3 learn what SB3's SAC and TD3 learn, to rounding."""

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from ganq_irl.accelerated.sac import FastSAC, FastTD3
from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer
from ganq_irl.networks.critic_policies import SACLayerNormPolicy, TD3LayerNormPolicy
from tests.generators.off_policy.n_step_examples import SB3S
from tests.scripted import demonstrations, flat, generator, imitator, walk

FAST = {SAC: FastSAC, TD3: FastTD3}
NORMALIZED = {SAC: SACLayerNormPolicy, TD3: TD3LayerNormPolicy}
BOTH = pytest.mark.parametrize("algorithm", FAST)
COLLECTED = 200


def built(algorithm, policy="MlpPolicy", env=None, net_arch=(32, 32), policy_kwargs=None, **options):
    """A model with experience of random actions, which has not learned yet."""
    small = {"learning_starts": COLLECTED, "batch_size": 32, "buffer_size": 1000, "device": "cpu", "seed": 3}
    small |= {"train_freq": 1, "gradient_steps": 1}  # TD3 collected whole episodes before SB3 2.3
    kwargs = {"net_arch": list(net_arch), **(policy_kwargs or {})}
    model = algorithm(policy, env or walk("sac", n_envs=2), policy_kwargs=kwargs, **{**small, **options})
    return model.learn(COLLECTED)


def trained(algorithm, *args, updates=20, **options):
    """A model after so many updates on the same experience."""
    model = built(algorithm, *args, **options)
    model.train(updates, model.batch_size)
    return model


def distance(first, second):
    return float((flat(first.policy) - flat(second.policy)).abs().max())


def everything(model):
    """All that is saved: networks, optimizers, and the entropy coefficient."""
    parameters = model.get_parameters()
    yield from parameters.pop("policy").values()
    for optimizer in parameters.values():
        for _, state in sorted(optimizer["state"].items()):
            yield from state.values()
    if getattr(model, "log_ent_coef", None) is not None:
        yield model.log_ent_coef.detach()


def assert_same(first, second, **tolerance):
    for ours, theirs in zip(everything(first), everything(second), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


@BOTH
@pytest.mark.parametrize("normalized", [False, True])
def test_parameters_are_sb3s_within_1e_5_after_20_updates_in_float32(algorithm, normalized):
    policy = NORMALIZED[algorithm] if normalized else "MlpPolicy"
    theirs, ours = trained(algorithm, policy), trained(FAST[algorithm], policy)
    assert ours.slow_reason is None
    assert distance(ours, built(algorithm, policy)) > 1e-3  # it learned
    assert distance(ours, theirs) < 1e-5


@pytest.mark.once
@BOTH
def test_parameters_are_sb3s_within_1e_8_after_1000_updates_in_float64(algorithm, in_double):
    policy, options = NORMALIZED[algorithm], {"updates": 1000, "learning_rate": 1e-4, "net_arch": (4,), "batch_size": 4}
    theirs, ours = trained(algorithm, policy, **options), trained(FAST[algorithm], policy, **options)
    assert ours.slow_reason is None
    assert distance(ours, theirs) < 1e-8


VARIANTS = {
    "tanh": (SAC, {"policy_kwargs": {"activation_fn": nn.Tanh}}),
    "leaky": (TD3, {"policy_kwargs": {"activation_fn": nn.LeakyReLU}}),
    "one critic": (SAC, {"policy_kwargs": {"n_critics": 1}}),
    "three critics": (SAC, {"policy_kwargs": {"n_critics": 3}}),
    "one critic, TD3": (TD3, {"policy_kwargs": {"n_critics": 1}}),
    "no hidden layers": (SAC, {"net_arch": ()}),
    "no hidden layers, TD3": (TD3, {"net_arch": ()}),
    "Adam's options": (SAC, {"policy_kwargs": {"optimizer_kwargs": {"eps": 1e-3, "weight_decay": 0.1}}}),
    "fixed coefficient": (SAC, {"ent_coef": 0.2}),
    "coefficient from 0.5": (SAC, {"ent_coef": "auto_0.5", "target_entropy": -3.0}),
    "rare targets": (SAC, {"target_update_interval": 3, "tau": 0.1}),
    "at once": (SAC, {"tau": 1.0}),
    "gamma": (SAC, {"gamma": 0.5}),
    "n steps": (SAC, {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": {"n_steps": 3, "gamma": 0.9}}),
    "every step": (TD3, {"policy_delay": 1}),
    "delay of 3": (TD3, {"policy_delay": 3, "tau": 0.2}),
    "much noise": (TD3, {"target_policy_noise": 0.8, "target_noise_clip": 0.3}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_settings_mean_what_they_mean_in_sb3(name):
    algorithm, options = VARIANTS[name]
    if name == "n steps" and SB3S is None:
        pytest.skip("Stable-Baselines3 before 2.7 ignores the discounts of n-step samples")
    theirs, ours = trained(algorithm, **options), trained(FAST[algorithm], **options)
    assert ours.slow_reason is None
    assert_same(ours, theirs, rtol=1e-3, atol=1e-5)
    assert ours._n_updates == theirs._n_updates == 20
    for key, value in theirs.logger.name_to_value.items():
        assert ours.logger.name_to_value[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


def whole_run(algorithm, env=None, **options):
    """A run that acts by what it learned."""
    small = {"learning_starts": 20, "batch_size": 16, "learning_rate": lambda progress: 1e-3 * progress, "seed": 3}
    options = {**small, "train_freq": 1, "gradient_steps": 1, **options}
    return algorithm("MlpPolicy", env or walk("sac", n_envs=1), policy_kwargs={"net_arch": [16]}, **options)


RUNS = {
    "one environment": ({}, {}),
    "updates for each of several environments": ({"n_envs": 2}, {"gradient_steps": -1}),
    "three updates each second step": ({"n_envs": 2}, {"train_freq": 2, "gradient_steps": 3}),
    "action noise": ({"n_envs": 2}, {"action_noise": NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))}),
    "unscaled actions": ({"scale": 3.0}, {}),
    "normalized observations and rewards": ({"n_envs": 2, "normalized": True}, {}),
}


@BOTH
@pytest.mark.parametrize("name", RUNS)
def test_whole_runs_are_sb3s(algorithm, name):
    of_env, options = RUNS[name]
    normalized = of_env.get("normalized", False)
    scale = of_env.get("scale")

    def run(kind):
        env = walk("sac", n_envs=of_env.get("n_envs", 1))
        if scale:
            env.action_space = type(env.action_space)(-scale, 2 * scale, env.action_space.shape)
        return whole_run(kind, VecNormalize(env) if normalized else env, **options).learn(60)

    theirs, ours = run(algorithm), run(FAST[algorithm])
    assert ours.slow_reason is None
    assert ours._n_updates == theirs._n_updates > 15
    assert_same(ours, theirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.replay_buffer.actions, theirs.replay_buffer.actions, atol=1e-4)


IMITATION = {
    "dac": ("dac", "sac", {}),
    "dac with demonstrations in the replay": ("dac", "sac", {"expert_share": 0.5}),
    "dac with absorbing states": ("dac", "td3", {"learns_absorbing": True}),
    "gail": ("gail", "td3", {}),
    "sqil": ("sqil", "sac", None),
    "iq-learn": ("iq-learn", "sac", None),
}


@pytest.mark.parametrize("name", IMITATION)
def test_imitation_with_it_is_imitation_with_sb3s(name):
    algorithm, of_sb3, options = IMITATION[name]

    def run(kind):
        model = generator(kind, **({"ent_coef": 0.1} if kind.endswith("sac") else {}))
        if options is None:
            return ALGORITHMS[algorithm](model, demonstrations()).learn(80)
        return imitator(algorithm, model, **options).learn(80)

    theirs, ours = run(of_sb3), run(f"fast-{of_sb3}")
    assert ours.generator.slow_reason is None
    assert type(ours.generator) in FAST.values()
    torch.testing.assert_close(flat(ours.generator.policy), flat(theirs.generator.policy), rtol=1e-3, atol=1e-4)
    if options is not None:
        first, second = (flat(each.learner.discriminator) for each in (ours, theirs))
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)
