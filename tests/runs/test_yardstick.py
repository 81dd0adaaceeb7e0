"""What a finished run says of itself: the yardstick of its return, and its warnings."""

import dataclasses
import json
import logging
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.evaluation import random_returns
from ganq_irl.runs import load_run, resolve_config, resume_experiment, run_experiment
from ganq_irl.runs.runner import evaluate_run_policy
from ganq_irl.runs.yardstick import Play, Yardstick, references_for, yardstick_of
from ganq_irl_demos import Demonstrations, record_episodes, save_demonstrations
from tests.resume_examples import tiny_config

OWN = "tests/OwnCartPole-v0"
gym.register(OWN, CartPoleEnv, max_episode_steps=60)


class Balancing:
    """Push the way the pole falls."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        observation = np.atleast_2d(observation)
        return (observation[:, 2] + observation[:, 3] > 0).astype(int), state


@pytest.fixture(scope="module")
def demos():
    return record_episodes(Balancing(), gym.make(OWN), 3, seed=0)


def without_rewards(demos):
    return Demonstrations(
        [dataclasses.replace(trajectory, rewards=None) for trajectory in demos], demos.observation_space, demos.action_space
    )


def config_of(algo, demos, folder, **settings):
    file = str(save_demonstrations(demos, folder / "demos.npz"))
    if algo == "bc":
        short = {"bc": {"n_updates": 5}, "evaluation": {"episodes": 1}, "device": "cpu"}
        return resolve_config({"algo": algo, "env": OWN, "demos": file, **short})
    generator = "fast-ppo"
    config = tiny_config(algo, generator, {"Pendulum-v1": file, "CartPole-v1": file}, env=OWN, **settings)
    config.env_kwargs.clear()
    return config


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algo", ["gail", "bc"])
def test_a_run_on_ones_own_demonstrations_says_what_its_return_means(algo, demos, tmp_path):
    result = run_experiment(config_of(algo, demos, tmp_path), tmp_path / "run", progress_bar=False)
    random = random_returns(OWN, 1, seed=10_000)
    info = json.loads((tmp_path / "run/run.json").read_text())
    assert info["yardstick"] == {
        "demonstrations": {"episodes": 3, "mean_return": 60.0, "mean_length": 60.0},
        "random": {"episodes": 1, "mean_return": random.returns[0], "mean_length": random.lengths[0]},
    }
    expected = (result.evaluation.mean_return - random.returns[0]) / (60 - random.returns[0])
    assert info["normalized"] == result.evaluation.normalized == pytest.approx(expected)
    run = load_run(tmp_path / "run")
    again, _ = evaluate_run_policy(run.config, run.policy("cpu"), yardstick=yardstick_of(run.info))
    assert again == result.evaluation


@pytest.mark.filterwarnings("ignore")
def test_demonstrations_without_rewards_are_a_yardstick_of_length_alone(demos, tmp_path):
    result = run_experiment(config_of("gail", without_rewards(demos), tmp_path), tmp_path / "run", progress_bar=False)
    assert result.yardstick.demonstrations == Play(3, None, 60.0)
    assert result.evaluation.normalized is None


@pytest.mark.parametrize(
    ("shown", "settings", "expected"),
    [
        (60.0, {}, (20.0, 60.0)),
        (20.0, {}, None),  # no better than random actions
        (None, {}, None),
        (60.0, {"env_kwargs": {"sutton_barto_reward": True}}, (20.0, 60.0)),  # recorded there
        (60.0, {"env_kwargs": {"sutton_barto_reward": True}, "demos": "cartpole"}, None),  # of another scale
        (60.0, {"env": "CartPole-v1"}, "catalog"),
    ],
)
def test_what_a_normalized_score_is_relative_to(shown, settings, expected, demos, tmp_path):
    config = dataclasses.replace(config_of("gail", demos, tmp_path), **settings)
    found = references_for(config, Yardstick(Play(3, shown, 60.0), Play(1, 20.0, 20.0)))
    if expected == "catalog":
        assert found == references_for(config, None) is not None
    else:
        assert found == expected


@pytest.mark.parametrize("damage", [{}, {"yardstick": 3}, {"yardstick": {"demonstrations": {}, "random": {"episodes": []}}}])
def test_a_run_that_says_nothing_that_can_be_read_has_no_yardstick(damage):
    assert yardstick_of(damage) is None


class Warn(BaseCallback):
    """Warn at a step, in both ways."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def _on_step(self):
        if self.num_timesteps == self.step:
            logging.getLogger("ganq_irl.runs.anything").warning("logged %d", self.step)
            warnings.warn(f"warned {self.step}", RuntimeWarning, stacklevel=1)
        return True


def test_warnings_are_kept_and_shown(tmp_path, caplog):
    with pytest.warns(RuntimeWarning, match="warned 20"):
        run_experiment(tiny_config("fast-ppo"), tmp_path / "run", progress_bar=False, callback=Warn(20))
    assert "logged 20" in caplog.text
    kept = json.loads((tmp_path / "run/run.json").read_text())["warnings"]
    assert {"message": "logged 20", "step": 20, "category": "anything"} in kept
    assert {"message": "warned 20", "step": 20, "category": "RuntimeWarning"} in kept


@pytest.mark.filterwarnings("ignore")
def test_warnings_of_before_an_interrupt_stay(tmp_path):
    class Stop(Warn):
        def _on_step(self):
            if self.num_timesteps == 40:
                raise KeyboardInterrupt
            return super()._on_step()

    with pytest.raises(KeyboardInterrupt):
        run_experiment(tiny_config("fast-ppo"), tmp_path / "run", progress_bar=False, callback=Stop(20))
    resume_experiment(tmp_path / "run", progress_bar=False, callback=Warn(70))
    kept = json.loads((tmp_path / "run/run.json").read_text())["warnings"]
    assert [entry["message"] for entry in kept if entry["category"] == "anything"] == ["logged 20", "logged 70"]


@pytest.mark.filterwarnings("ignore")
def test_an_adversarys_policy_that_ends_its_episodes_early_is_told_at_the_end(demos, tmp_path):
    result = run_experiment(config_of("airl", demos, tmp_path), tmp_path / "run", progress_bar=False)
    assert result.evaluation.mean_length < 48
    assert "the demonstrations' 60" in result.warning
    kept = json.loads((tmp_path / "run/run.json").read_text())["warnings"]
    assert result.warning in [entry["message"] for entry in kept]
