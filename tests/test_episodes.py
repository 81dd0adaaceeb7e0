"""What every episode must be, whoever plays it: it ends, and it shows finite numbers."""

import logging
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC

from ganq_irl import episodes
from ganq_irl.algorithms import DAC, GAIL
from ganq_irl.algorithms.ganq import GANQ, ContinuousGANQ
from ganq_irl.episodes import BoundedEpisodes, bounded, require_finite
from ganq_irl.errors import EnvironmentFailed
from ganq_irl.evaluation import evaluate_returns, random_returns
from ganq_irl.runs import run_experiment
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl_demos import random_policy, record_episodes, save_demonstrations
from ganq_irl_demos.recording.play import PlaySession

pytestmark = pytest.mark.filterwarnings("ignore")


class Walk(gym.Env):
    """Never ends by itself; shows ``broken`` at one step of its life, in one part of what it shows."""

    def __init__(self, broken_at=None, broken=np.nan, discrete=True, render_mode=None):
        self.observation_space = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "n": spaces.Discrete(3)})
        self.action_space = spaces.Discrete(2) if discrete else spaces.Box(-1, 1, (1,))
        self.broken_at, self.broken, self.life = broken_at, broken, 0

    def _observe(self):
        a = np.full(2, self.broken if self.life == self.broken_at else 0.5, np.float32)
        return {"a": a, "n": np.int64(self.life % 3)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        self.life += 1
        return self._observe(), 1.0, False, False, {}


gym.register("tests/Endless-v0", Walk)
gym.register("tests/Limited-v0", Walk, max_episode_steps=7)
gym.register("tests/Broken-v0", Walk, max_episode_steps=10, kwargs={"broken_at": 70})
gym.register("tests/BrokenEnd-v0", Walk, max_episode_steps=10, kwargs={"broken_at": 10})
gym.register("tests/BrokenStart-v0", Walk, max_episode_steps=10, kwargs={"broken_at": 0})
gym.register("tests/BrokenBox-v0", Walk, max_episode_steps=10, kwargs={"broken_at": 70, "discrete": False})


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(episodes, "MAX_EPISODE_STEPS", 20)
    episodes._warn_of_no_limit.cache_clear()


def test_an_environment_with_a_limit_stays_as_it_is():
    for env in (gym.make("tests/Limited-v0"), gym.wrappers.TimeLimit(Walk(), 5)):
        assert bounded(env) is env
    assert isinstance(bounded(gym.make("tests/Endless-v0")), BoundedEpisodes)
    assert isinstance(bounded(Walk()), BoundedEpisodes)


def test_evaluation_without_a_limit_ends_and_says_so_once(short, caplog):
    with caplog.at_level(logging.WARNING):
        assert random_returns("tests/Endless-v0", 3).lengths.tolist() == [20, 20, 20]
    assert len(caplog.messages) == 1
    assert "tests/Endless-v0 declares no time limit" in caplog.text
    assert "--max-episode-steps" in caplog.text
    assert random_returns("tests/Endless-v0", 2, env_kwargs={"max_episode_steps": 5}).lengths.tolist() == [5, 5]


def test_a_recorded_or_played_episode_without_a_limit_is_truncated(short):
    env = gym.make("tests/Endless-v0")
    demos = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 2, seed=0)
    assert [(len(one), one.terminated, one.truncated) for one in demos] == [(20, False, True)] * 2
    session = PlaySession(env, 0)
    assert [session.step(0) for _ in range(20)] == [False] * 19 + [True]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_field_of_a_number_that_is_not_finite_is_named(value):
    require_finite({"a": np.ones(2), "n": 1}, "Env-v0", "at step 3")
    with pytest.raises(
        EnvironmentFailed, match=rf"^Env-v0 gave {value} in observations.a at step 3; expected finite numbers"
    ):
        require_finite({"a": np.array([0, value]), "n": 1}, "Env-v0", "at step 3")


def test_evaluation_and_recording_name_the_step_and_the_seed():
    message = "tests/Broken-v0 gave nan in observations.a at step 10 of the episode from seed 106"
    with pytest.raises(EnvironmentFailed, match=message):
        evaluate_returns(Still(), "tests/Broken-v0", 9, seed=100, n_envs=1)
    env = gym.make("tests/Broken-v0")
    with pytest.raises(EnvironmentFailed, match=message):
        record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 9, seed=100)


class Still:
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros(len(observation["a"]), np.int64), state


def demonstrations(tmp_path, env_id="tests/Limited-v0", **kwargs):
    env = gym.make(env_id, **kwargs)
    recorded = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 10, seed=0)
    return str(save_demonstrations(replace(recorded, env_id=None), tmp_path / "demos.npz"))


@pytest.mark.parametrize(
    ("env_id", "step"), [("tests/Broken-v0", 70), ("tests/BrokenEnd-v0", 10), ("tests/BrokenStart-v0", 0)]
)
@pytest.mark.parametrize("algo", ["ppo", "fast-ppo", "dqn", "gan-q", "gail"])
def test_training_ends_at_the_step(algo, env_id, step, tmp_path):
    settings = {"learning_starts": 10} if algo in ("dqn", "gan-q") else {"n_steps": 256, "batch_size": 64}
    config = ExperimentConfig(
        algo=algo,
        env=env_id,
        demos=demonstrations(tmp_path) if algo == "gail" else None,
        timesteps=256,
        device="cpu",
        generator_kwargs=settings,
    )
    with pytest.raises(EnvironmentFailed, match=rf"{env_id} gave nan in observations.a at step {step}; .*no checkpoint"):
        run_experiment(config, tmp_path / "run", progress_bar=False)


@pytest.mark.parametrize(("algorithm", "discrete"), [(GANQ, True), (ContinuousGANQ, False)])
def test_gan_q_from_python_ends_at_the_step_as_well(algorithm, discrete):
    calls = []
    model = algorithm("MultiInputPolicy", gym.make("tests/Broken-v0", discrete=discrete), device="cpu", learning_starts=10)
    with pytest.raises(EnvironmentFailed, match=r"tests/Broken-v0 gave nan in observations.a at step 70"):
        model.learn(128, callback=lambda told, _: calls.append(1) or True)
    assert len(calls) == 69


def test_playing_ends_at_the_step_as_well():
    with pytest.raises(EnvironmentFailed, match=r"gave nan in observations.a at step 0 of the episode from seed 5"):
        PlaySession(gym.make("tests/BrokenStart-v0"), 5)
    session = PlaySession(Walk(broken_at=1), 5)
    with pytest.raises(EnvironmentFailed, match=r"gave nan in observations.a at step 1 of the episode from seed 5"):
        session.step(0)


@pytest.mark.parametrize(("imitation", "generator"), [(GAIL, PPO), (DAC, SAC)])
def test_imitation_from_python_ends_at_the_step_as_well(imitation, generator, tmp_path):
    demos = demonstrations(tmp_path, "tests/Limited-v0", discrete=False)
    env = gym.make("tests/BrokenBox-v0")
    learner = imitation(generator("MultiInputPolicy", env, device="cpu"), demos)
    with pytest.raises(EnvironmentFailed, match=r"tests/BrokenBox-v0 gave nan in observations.a at step 70"):
        learner.learn(256)
