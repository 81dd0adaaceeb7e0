"""Layer normalization in the critics of SAC, TD3 and DDPG."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.factory import build_generator
from ganq_irl.generators.policies.store import load_policy, save_policy
from ganq_irl.networks.critic_policies import SACLayerNormPolicy, TD3LayerNormPolicy
from tests.scripted import SpacesEnv, random_rows

POLICIES = {"sac": SACLayerNormPolicy, "td3": TD3LayerNormPolicy, "ddpg": TD3LayerNormPolicy}
ALL = pytest.mark.parametrize("name", POLICIES)
VECTOR, IMAGE = spaces.Box(-1, 1, (3,)), spaces.Box(0, 255, (36, 36, 3), np.uint8)
KINDS = {
    "vector": (VECTOR, FlattenExtractor),
    "image": (IMAGE, NatureCNN),
    "dict": (spaces.Dict(image=IMAGE, vector=VECTOR), CombinedExtractor),
}
ACTIONS = spaces.Box(-1, 1, (2,))


def built(name, policy="LayerNormCriticPolicy", space=VECTOR, **options):
    quick = {"learning_starts": 8, "train_freq": 4, "batch_size": 4, "buffer_size": 50, "seed": 0, "device": "cpu"}
    quick |= {"policy_kwargs": {"net_arch": [16, 8]}}
    return build_generator(name, DummyVecEnv([lambda: SpacesEnv(space, ACTIONS)]), policy=policy, **quick | options)


@ALL
def test_every_hidden_layer_is_normalized_before_its_activation(name):
    policy = built(name).policy
    kinds = [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear, nn.LayerNorm, nn.ReLU, nn.Linear]
    for critic in (policy.critic, policy.critic_target):
        for network in critic.q_networks:
            assert [type(layer) for layer in network] == kinds
    assert not any(isinstance(layer, nn.LayerNorm) for layer in policy.actor.modules())


@ALL
def test_what_a_critic_says_far_away_is_bounded_by_its_last_layer(name):
    """A normalized row of n has a norm of at most √n, and a ReLU adds none: |Q| ≤ √n ‖w‖ + |b|. SB3's has no bound."""
    observations, actions = 1e6 * torch.randn(200, 3), torch.rand(200, 2)
    with torch.no_grad():
        critic = built(name).policy.critic
        for network, values in zip(critic.q_networks, critic(observations, actions), strict=True):
            bound = 8**0.5 * network[-1].weight.norm() + network[-1].bias.abs()
            assert values.abs().max() <= bound
        plain = built(name, "MlpPolicy").policy.critic(observations, actions)[0]
    assert plain.abs().max() > 100 * bound


@ALL
def test_the_layers_begin_with_sb3s_weights_and_are_learned(name):
    model, plain = built(name), built(name, "MlpPolicy")
    linear = [layer for layer in model.critic.qf0 if isinstance(layer, nn.Linear)]
    for layer, reference in zip(linear, (x for x in plain.critic.qf0 if isinstance(x, nn.Linear)), strict=True):
        torch.testing.assert_close(layer.weight, reference.weight, rtol=0, atol=0)
    before = model.critic.qf0[1].weight.clone(), model.critic_target.qf0[1].weight.clone()
    torch.testing.assert_close(*before, rtol=0, atol=0)
    model.learn(40)
    assert not torch.equal(model.critic.qf0[1].weight, before[0])
    assert not torch.equal(model.critic_target.qf0[1].weight, before[1])


@ALL
@pytest.mark.parametrize("kind", KINDS)
def test_vectors_images_and_dicts_are_learned_from_and_come_back(name, kind, tmp_path):
    space, extractor = KINDS[kind]
    model = built(name, space=space)
    model.learn(16)
    assert isinstance(model.policy.critic.features_extractor, extractor)
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy", device="cpu")
    assert type(loaded.policy) is POLICIES[name]
    batch = random_rows(space, 6)
    np.testing.assert_array_equal(loaded.predict(batch, deterministic=True)[0], model.predict(batch, deterministic=True)[0])


def test_as_sb3_uses_them(tmp_path):
    model = SAC(SACLayerNormPolicy, "Pendulum-v1", learning_starts=10, buffer_size=100, device="cpu").learn(20)
    model.save(tmp_path / "model.zip")
    again = SAC.load(tmp_path / "model.zip", device="cpu")
    observations, actions = torch.randn(5, 3), torch.rand(5, 1)
    for value, same in zip(model.critic(observations, actions), again.critic(observations, actions), strict=True):
        torch.testing.assert_close(value, same, rtol=0, atol=0)


def test_they_are_for_continuous_critics_alone():
    with pytest.raises(ConfigurationError, match="LayerNormCriticPolicy"):
        build_generator("ppo", DummyVecEnv([lambda: SpacesEnv(VECTOR, ACTIONS)]), policy="LayerNormCriticPolicy")


def test_a_policy_that_there_is_not_is_answered_with_the_nearest():
    with pytest.raises(ConfigurationError, match=r"sac has no policy 'LayerNormPolicy'.*LayerNormCriticPolicy"):
        built("sac", "LayerNormPolicy")
