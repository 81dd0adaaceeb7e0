import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ganq_irl import storage
from ganq_irl.errors import ConfigurationError, StorageError
from ganq_irl.generators.factory import GENERATORS, build_generator
from ganq_irl.generators.policies.store import load_policy, save_policy
from ganq_irl.space_matrix import TRAITS

CONTINUOUS = {name for name, traits in TRAITS.items() if traits.acts_in == (spaces.Box,)}
OFF_POLICY = {name for name, traits in TRAITS.items() if traits.replays}


class SpacesEnv(gym.Env):
    """Random observations of any space."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


def build(name, env, **options):
    options |= {"buffer_size": 50} if name in OFF_POLICY else {"n_steps": 16}
    return build_generator(name, env, seed=0, device="cpu", **options)


def same_predictions(first, second, observations):
    for deterministic in (True, False):
        actions = []
        for policy in (first, second):
            torch.manual_seed(0)
            actions.append(policy.predict(observations, deterministic=deterministic)[0])
        np.testing.assert_array_equal(*actions)
        assert actions[0].dtype == actions[1].dtype


@pytest.mark.parametrize("name", GENERATORS)
def test_a_policy_of_every_generator_comes_back_exactly(name, tmp_path):
    env = make_vec_env("Pendulum-v1" if name in CONTINUOUS else "CartPole-v1", n_envs=2, seed=0)
    model = build(name, env, policy_kwargs={"net_arch": [8, 4], "activation_fn": "ELU"})
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy", device="cpu")
    assert loaded.algorithm == type(model).__name__
    assert type(loaded.policy) is type(model.policy)
    assert loaded.action_space == model.action_space
    state, expected = loaded.policy.state_dict(), model.policy.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    # not the space's own samples: CartPole's bounds on the pinned stack are the largest floats
    observations = np.random.default_rng(0).normal(size=(20, *env.observation_space.shape)).astype(np.float32)
    same_predictions(model.policy, loaded, observations)
    same_predictions(model.policy, loaded, observations[0])


@pytest.mark.parametrize(
    ("name", "policy_kwargs"),
    [
        ("ppo", {"net_arch": {"pi": [4], "vf": [8, 8]}, "log_std_init": -1.0, "share_features_extractor": False}),
        ("ppo", {"net_arch": []}),
        ("sac", {"net_arch": {"pi": [4], "qf": [8]}, "n_critics": 3, "share_features_extractor": True}),
        ("td3", {"n_critics": 1, "share_features_extractor": True}),
    ],
)
def test_policy_kwargs_come_back(name, policy_kwargs, tmp_path):
    model = build(name, make_vec_env("Pendulum-v1"), policy_kwargs=policy_kwargs)
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    assert str(loaded.policy) == str(model.policy)
    same_predictions(model.policy, loaded, np.ones((3, 3), np.float32))


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_state_dependent_exploration_comes_back(name, tmp_path):
    model = build(name, make_vec_env("Pendulum-v1"), use_sde=True)
    save_policy(model, tmp_path / "policy")
    observations = np.ones((3, 3), np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    np.testing.assert_array_equal(load_policy(tmp_path / "policy").predict(observations, deterministic=True)[0], expected)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (40, 40, 3), np.uint8),
        spaces.Dict(image=spaces.Box(0, 255, (40, 40, 1), np.uint8), vector=spaces.Box(-1, 1, (3,))),
        spaces.Discrete(5),
        spaces.MultiBinary(4),
    ],
)
def test_observation_spaces_come_back(space, tmp_path):
    model = build("ppo", DummyVecEnv([lambda: SpacesEnv(space, spaces.MultiDiscrete([2, 3]))]))
    save_policy(model, tmp_path / "policy")
    same_predictions(model.policy, load_policy(tmp_path / "policy"), space.sample())


def test_observation_statistics_travel_with_the_policy(tmp_path):
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=2, seed=0), norm_reward=False, clip_obs=2.0)
    model = build("ppo", env)
    model.learn(64)
    save_policy(model, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    raw = np.random.default_rng(0).normal(size=(50, 3), scale=3).astype(np.float32)
    expected, _ = model.predict(env.normalize_obs(raw), deterministic=True)
    np.testing.assert_array_equal(loaded.predict(raw, deterministic=True)[0], expected)
    assert not np.array_equal(loaded.policy.predict(raw, deterministic=True)[0], expected)
    save_policy(loaded, tmp_path / "again")
    np.testing.assert_array_equal(load_policy(tmp_path / "again").predict(raw, deterministic=True)[0], expected)


def test_statistics_of_dict_observations_travel(tmp_path):
    space = spaces.Dict(a=spaces.Box(-1, 1, (2,)), b=spaces.Box(-1, 1, (3,)))
    base = DummyVecEnv([lambda: SpacesEnv(space, spaces.Discrete(2))])
    env = VecNormalize(base, norm_reward=False, norm_obs_keys=["a"])
    model = build("ppo", env)
    model.learn(32)
    save_policy(model, tmp_path / "policy")
    raw = {"a": np.full((1, 2), 3, np.float32), "b": np.full((1, 3), 3, np.float32)}
    normalized = load_policy(tmp_path / "policy").normalizer(raw)
    expected = env.normalize_obs(raw)
    assert all(np.array_equal(normalized[key], expected[key]) for key in raw)


def test_a_bare_actor_critic_policy_and_imitations_default_one(tmp_path):
    from imitation.policies.base import FeedForward32Policy

    box, discrete = spaces.Box(-1, 1, (3,)), spaces.Discrete(4)
    for cls in (ActorCriticPolicy, FeedForward32Policy):
        policy = cls(box, discrete, lambda _: 1e-3)
        save_policy(policy, tmp_path / "policy")
        same_predictions(policy, load_policy(tmp_path / "policy"), np.ones((5, 3), np.float32))


class OwnExtractor(BaseFeaturesExtractor):
    def __init__(self, observation_space):
        super().__init__(observation_space, 3)

    def forward(self, observations):
        return observations


class OwnPolicy(ActorCriticPolicy):
    pass


class OwnActivation(torch.nn.ReLU):
    pass


@pytest.mark.parametrize(
    ("policy", "policy_kwargs", "message"),
    [
        ("MlpPolicy", {"features_extractor_class": OwnExtractor}, "features_extractor_class"),
        ("MlpPolicy", {"activation_fn": OwnActivation}, "activation_fn"),
        (OwnPolicy, {}, "OwnPolicy"),
    ],
)
def test_what_json_cannot_hold_is_named(policy, policy_kwargs, message, tmp_path):
    model = PPO(policy, "Pendulum-v1", policy_kwargs=policy_kwargs, device="cpu")
    with pytest.raises(ConfigurationError, match=message):
        save_policy(model, tmp_path / "policy")
    assert not any(tmp_path.iterdir())


@pytest.fixture
def saved(tmp_path):
    save_policy(build("ppo", make_vec_env("Pendulum-v1")), tmp_path / "policy")
    return tmp_path / "policy"


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 99},
        {"schema": None},
        {"kind": "reward"},
        {"policy_class": "os:system"},
        {"policy_class": "ppo"},
        {"policy_class": 7},
        {"policy_kwargs": {"net_arch": [3]}},
        {"policy_kwargs": {"activation_fn": "Linear"}},
        {"policy_kwargs": {"surprise": 1}},
        {"policy_kwargs": None},
        {"observation_space": {"type": "Box"}},
        {"normalizer": {"keys": [""], "epsilon": 0, "clip": 1}},
    ],
)
def test_a_description_that_builds_no_policy_is_refused(saved, changes):
    config, tensors = storage.load_folder(saved)
    storage.save_folder(saved, config | changes, tensors)
    with pytest.raises(StorageError, match=r"holds no policy|has schema 99|does not describe a policy"):
        load_policy(saved)


def test_missing_and_altered_files_are_refused(saved, tmp_path):
    with pytest.raises(StorageError, match=r"holds no config\.json"):
        load_policy(tmp_path / "nowhere")
    content = (saved / storage.TENSORS_FILE).read_bytes()
    (saved / storage.TENSORS_FILE).write_bytes(content[:-7])
    with pytest.raises(StorageError, match="checksum"):
        load_policy(saved)
