"""Policies that others saved: opened on trust alone, from a zip or from the hub's cache; and several of them in turns."""

from __future__ import annotations

import zipfile

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from ganq_irl.errors import ConfigurationError, DemoFormatError, IncompatibleSpaces
from ganq_irl_demos import record_episodes
from ganq_irl_demos.hub import fetch
from ganq_irl_demos.recording.policies import FunctionPolicy, MixedPolicy
from ganq_irl_demos.recording.saved_policies import NORMALIZATION, is_saved_policy, load_policy

HUB = "huggingface:someone/ppo-CartPole-v1"


@pytest.fixture(scope="module")
def cartpole():
    return gym.make("CartPole-v1")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "ppo-CartPole-v1.zip"
    PPO("MlpPolicy", "CartPole-v1", device="cpu", seed=0).save(path)
    return path


def load(source, env, trust=True):
    return load_policy(str(source), env.observation_space, env.action_space, trust=trust)


@pytest.mark.parametrize(
    ("algorithm", "env_id"),
    [(PPO, "CartPole-v1"), (A2C, "CartPole-v1"), (DQN, "CartPole-v1"), (SAC, "Pendulum-v1"), (TD3, "Pendulum-v1")],
)
def test_a_zip_acts_as_the_algorithm_that_saved_it(algorithm, env_id, tmp_path):
    model = algorithm("MlpPolicy", env_id, device="cpu", seed=0, policy_kwargs={"net_arch": [8]})
    model.save(tmp_path / "model.zip")
    env = gym.make(env_id)
    policy = load(tmp_path / "model.zip", env)
    observation, _ = env.reset(seed=1)
    expected = model.predict(observation, deterministic=True)[0]
    np.testing.assert_array_equal(policy.predict(observation, deterministic=True)[0], expected)
    assert policy.algorithm.startswith(algorithm.__name__)


def test_nothing_is_opened_without_trust(saved, cartpole, tmp_path):
    planted = tmp_path / "planted.zip"
    with zipfile.ZipFile(planted, "w") as archive:
        archive.writestr(
            "data", '{"policy_class": {":serialized:": "gASVAAAA", "__module__": "stable_baselines3.dqn.policies"}}'
        )
    for source in (saved, planted, HUB):
        assert is_saved_policy(str(source))
        with pytest.raises(ConfigurationError, match="add --trust"):
            load(source, cartpole, trust=False)


def test_what_is_no_policy_is_a_sentence(saved, cartpole, tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    for name in ("text.zip", "nowhere.zip"):
        with pytest.raises(DemoFormatError, match="is not a policy saved by"):
            load(tmp_path / name, cartpole)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data", '{"policy_class": {"__module__": "sb3_contrib.common.recurrent.policies"}}')
    with pytest.raises(ConfigurationError, match="known: PPO"):
        load(tmp_path / "other.zip", cartpole)
    pendulum = gym.make("Pendulum-v1")
    with pytest.raises(IncompatibleSpaces, match="action space"):
        load(saved, pendulum)
    wider = type("Wider", (), {"observation_space": spaces.Box(-1, 1, (9,)), "action_space": cartpole.action_space})
    with pytest.raises(IncompatibleSpaces, match="was trained with observations"):
        load(saved, wider)


def test_statistics_beside_a_zip_normalize_what_it_sees(tmp_path):
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    model = SAC("MlpPolicy", env, device="cpu", seed=0, policy_kwargs={"net_arch": [8]})
    env.obs_rms.mean, env.obs_rms.var = np.array([1.0, 2.0, 3.0]), np.full(3, 4.0)
    model.save(tmp_path / "sac.zip")
    env.save(str(tmp_path / NORMALIZATION))
    observation = np.array([0.5, -0.5, 2.0], np.float32)
    expected = model.predict(env.normalize_obs(observation), deterministic=True)[0]
    given = load(tmp_path / "sac.zip", gym.make("Pendulum-v1")).predict(observation, deterministic=True)[0]
    np.testing.assert_array_equal(given, expected)
    assert not np.array_equal(given, model.predict(observation, deterministic=True)[0])
    (tmp_path / NORMALIZATION).write_bytes(b"nonsense")
    with pytest.raises(DemoFormatError, match="cannot be unpickled"):
        load(tmp_path / "sac.zip", gym.make("Pendulum-v1"))


def test_a_hub_id_is_fetched_by_the_hubs_own_client(saved, cartpole, tmp_path, monkeypatch):
    asked = []

    def download(repository, *, repo_type, allow_patterns):
        asked.append((repository, repo_type, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    for name in ("ppo-CartPole-v1.zip", "train_eval_metrics.zip"):
        (tmp_path / name).write_bytes(saved.read_bytes())
    demos = record_episodes(load(HUB, cartpole), cartpole, 1, seed=0)
    assert len(demos[0]) > 1
    assert asked == [("someone/ppo-CartPole-v1", "model", ["*.zip", NORMALIZATION])]
    assert load(f"{HUB}/train_eval_metrics.zip", cartpole).action_space == cartpole.action_space
    assert asked[-1][2] == ["train_eval_metrics.zip"]
    with pytest.raises(DemoFormatError, match="name it"):
        load("huggingface:someone/else", cartpole)
    with pytest.raises(DemoFormatError, match=r"holds no other\.zip"):
        load(f"{HUB}/other.zip", cartpole)


def test_without_a_network_it_is_one_sentence(monkeypatch):
    def download(*args, **kwargs):
        raise ConnectionError("Name or service not known\nand much more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(
        DemoFormatError, match=r"cannot be fetched \(ConnectionError: Name or service not known\); check the network"
    ) as e:
        fetch(HUB, "model", ["*.zip"])
    assert "\n" not in str(e.value)
    for wrong in ("huggingface:one", "huggingface:a/b/../../c", "huggingface:/a/b"):
        with pytest.raises(ConfigurationError, match="ORGANIZATION/NAME"):
            fetch(wrong, "model", [])


def test_policies_take_turns_by_episode():
    space = spaces.Discrete(3)
    constant = [FunctionPolicy(lambda _, action=action: action, space, f"always {action}") for action in range(3)]
    mixed = MixedPolicy(constant, space, np.random.default_rng(0))
    episodes = [[mixed.predict(0, episode_start=np.array([step == 0]))[0] for step in range(4)] for _ in range(300)]
    assert all(len(set(episode)) == 1 for episode in episodes)
    counts = np.bincount([episode[0] for episode in episodes])
    assert counts.min() > 70
    assert mixed.algorithm == "always 0 or always 1 or always 2"
