import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.factory import build_generator
from ganq_irl.generators.policies.store import acting_policy, load_policy, save_policy
from ganq_irl.networks.q_policies import ActionBranchesPolicy, ActionInputPolicy
from tests.scripted import random_rows

POLICIES = {"ActionInputPolicy": ActionInputPolicy, "ActionBranchesPolicy": ActionBranchesPolicy}
ALL = pytest.mark.parametrize("policy", POLICIES)
VECTOR, IMAGE = spaces.Box(-1, 1, (3,)), spaces.Box(0, 255, (36, 36, 3), np.uint8)
KINDS = {
    "vector": (VECTOR, FlattenExtractor, [64, 64]),
    "image": (IMAGE, NatureCNN, [64]),
    "dict": (spaces.Dict(image=IMAGE, vector=VECTOR), CombinedExtractor, [64, 64]),
}


class MatchBandit(gym.Env):
    """One step: 1 for naming the observation's larger number, 0 otherwise. No fixed action is the best everywhere."""

    observation_space, action_space = spaces.Box(-1, 1, (2,)), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.observation, {}

    def step(self, action):
        return self.observation, float(action == np.argmax(self.observation)), True, False, {}


class SpacesEnv(gym.Env):
    """Random observations of any space."""

    action_space = spaces.Discrete(4)

    def __init__(self, observation_space):
        self.observation_space = observation_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


def bandit(policy, seed=0, **options):
    quick = {"learning_starts": 64, "train_freq": 1, "target_update_interval": 100, "buffer_size": 2000}
    quick |= {"policy_kwargs": {"net_arch": [16]}, "learning_rate": 3e-3, "exploration_fraction": 0.5}
    quick |= options
    return build_generator("dqn", DummyVecEnv([MatchBandit]), seed=seed, device="cpu", policy=policy, **quick)


@pytest.mark.once
@pytest.mark.parametrize("policy", [*POLICIES, "MlpPolicy"])
def test_each_network_learns_which_action_is_best_where(policy):
    model = bandit(policy, learning_rate=1e-2, train_freq=2)
    model.learn(500)
    observations = np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32)
    actions, _ = model.predict(observations, deterministic=True)
    assert np.mean(actions == observations.argmax(axis=1)) > 0.9
    q_values = acting_policy(model).q_values(observations)
    truth = np.eye(2)[observations.argmax(axis=1)]
    assert np.mean((q_values - truth) ** 2) < 0.1  # a constant 0.5 has 0.25


@ALL
def test_equal_seeds_learn_alike(policy):
    weights = []
    for seed in (3, 3, 4):
        model = bandit(policy, seed)
        model.learn(120)
        weights.append(torch.nn.utils.parameters_to_vector(model.policy.parameters()))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@ALL
@pytest.mark.parametrize("kind", KINDS)
def test_vectors_images_and_dicts_are_learned_from_and_come_back(policy, kind, tmp_path):
    space, extractor, net_arch = KINDS[kind]
    options = {"learning_starts": 8, "train_freq": 4, "batch_size": 4, "buffer_size": 50}
    model = build_generator("dqn", DummyVecEnv([lambda: SpacesEnv(space)]), seed=0, device="cpu", policy=policy, **options)
    model.learn(16)
    assert isinstance(model.policy.q_net.features_extractor, extractor)
    assert model.policy.net_arch == net_arch
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy", device="cpu")
    assert type(loaded.policy) is POLICIES[policy]
    batch = random_rows(space, 6)
    np.testing.assert_array_equal(loaded.predict(batch, deterministic=True)[0], model.predict(batch, deterministic=True)[0])
    q_values = loaded.q_values(batch)
    assert q_values.shape == (6, 4)
    np.testing.assert_array_equal(q_values, acting_policy(model).q_values(batch))
    np.testing.assert_array_equal(q_values.argmax(axis=1), loaded.predict(batch, deterministic=True)[0])


@pytest.mark.parametrize("cls", POLICIES.values())
def test_as_sb3_uses_them(cls, tmp_path):
    model = DQN(cls, "CartPole-v1", policy_kwargs={"net_arch": [8, 4]}, learning_starts=10, buffer_size=100, device="cpu")
    target = model.policy.q_net_target
    assert target.features_extractor is not model.policy.q_net.features_extractor
    model.learn(40)
    model.save(tmp_path / "model.zip")
    again = DQN.load(tmp_path / "model.zip", device="cpu")
    observations = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    np.testing.assert_array_equal(acting_policy(model).q_values(observations), acting_policy(again).q_values(observations))
    optimized = {id(parameter) for group in model.policy.optimizer.param_groups for parameter in group["params"]}
    assert optimized >= {id(parameter) for parameter in model.policy.q_net.parameters()}


def test_an_empty_architecture_is_answered():
    with pytest.raises(ConfigurationError, match="at least one"):
        build_generator("dqn", DummyVecEnv([MatchBandit]), policy="ActionInputPolicy", policy_kwargs={"net_arch": []})


@pytest.mark.parametrize("policy", ["ActionInputPolcy", ["ActionInputPolicy"]])
def test_an_unknown_policy_is_answered(policy):
    with pytest.raises(ConfigurationError, match="ActionInputPol"):
        build_generator("dqn", DummyVecEnv([MatchBandit]), policy=policy)


def test_the_policies_are_dqns_alone():
    with pytest.raises(ConfigurationError, match="ActionInputPolicy"):
        build_generator("ppo", DummyVecEnv([MatchBandit]), policy="ActionInputPolicy")


def test_values_are_of_raw_observations():
    env = VecNormalize(make_vec_env("CartPole-v1", seed=0), norm_reward=False)
    model = build_generator("dqn", env, seed=0, device="cpu", buffer_size=100)
    model.learn(60)
    raw = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with torch.no_grad():
        expected = model.policy.q_net(torch.as_tensor(env.normalize_obs(raw))).numpy()
    np.testing.assert_allclose(acting_policy(model).q_values(raw), expected, rtol=1e-6)


def test_values_of_qrdqn_are_the_means_of_its_quantiles_however_many_observations():
    model = build_generator("qrdqn", make_vec_env("CartPole-v1", seed=0), seed=0, device="cpu", buffer_size=100)
    raw = np.random.default_rng(0).normal(size=(1500, 4)).astype(np.float32)  # more than one chunk
    with torch.no_grad():
        expected = model.policy.quantile_net(torch.as_tensor(raw)).mean(dim=1).numpy()
    np.testing.assert_allclose(acting_policy(model).q_values(raw), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "env"), [("ppo", "CartPole-v1"), ("sac", "Pendulum-v1"), ("td3", "Pendulum-v1")])
def test_an_actor_has_no_values_of_actions(name, env):
    model = build_generator(name, make_vec_env(env), device="cpu")
    with pytest.raises(ConfigurationError, match="gan-q, dqn or qrdqn"):
        acting_policy(model).q_values(np.zeros((1, *model.observation_space.shape), np.float32))
