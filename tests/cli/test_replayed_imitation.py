"""SQIL and IQ-Learn from the command line."""

import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.runs import load_run
from tests.command_line import call

QUICK = ["--device", "cpu", "--set", "evaluation.episodes=2", "--set", "generator_kwargs.policy_kwargs.net_arch=[8]"]
QUICK += ["--set", "generator_kwargs.learning_starts=64", "--set", "generator_kwargs.batch_size=16"]
QUICK += ["--set", "generator_kwargs.train_freq=4", "--set", "generator_kwargs.gradient_steps=1"]


@pytest.mark.parametrize("algo", ["sqil", "iq-learn", "ls-iq"])
@pytest.mark.parametrize(
    ("demos", "generator", "algorithm"), [("pendulum", "fast-sac", "FastSAC"), ("cartpole", "dqn", "DQN")]
)
def test_train_and_evaluate(succeed, algo, demos, generator, algorithm):
    options = ["--demos", demos, "--n-trajectories", "1", "--timesteps", "200", "--preset", "none", *QUICK]
    options += ["--set", "generator_kwargs.ent_coef=0.1"] if generator == "fast-sac" else []
    content = json.loads(succeed("train", algo, "--out", "run", *options, "--json").stdout)
    assert "of the demonstrations' return" in content["warning"]  # after 200 steps
    run = load_run("run")
    assert run.config.generator == generator  # by the action space, since none was named
    assert run.policy("cpu").algorithm == algorithm
    assert json.loads(succeed("evaluate", "run", "--device", "cpu", "--json").stdout)["episodes"] == 2
    assert os.path.isdir("run/reward") == (algo != "sqil")  # SQIL learns none
    if algo == "iq-learn":
        reward = SoftQReward.load("run/reward")
        observations = np.zeros((3, *reward.observation_space.shape), np.float32)
        actions = np.zeros((3, *reward.action_space.shape), int if generator == "dqn" else np.float32)
        assert np.isfinite(reward.reward(observations, actions, observations, np.zeros(3, np.float32))).all()


def test_sqil_on_another_generator(succeed):
    options = ["--demos", "pendulum", "--generator", "gan-q-continuous", "--timesteps", "100", "--preset", "none"]
    succeed("train", "sqil", *options, *QUICK, "--set", "generator_kwargs.critic_hidden_sizes=[8]")


def test_settings_of_iq_learn_and_a_repetition(succeed):
    sets = [
        "imitation.loss=v0",
        "imitation.actor_learning_rate={ initial = 1e-4, final = 0.0 }",
        "generator_kwargs.ent_coef=0.1",
    ]
    options = [word for one in sets for word in ("--set", one)]
    succeed(
        "train",
        "iq-learn",
        "--demos",
        "pendulum",
        "--timesteps",
        "150",
        "--preset",
        "none",
        "--out",
        "first",
        *options,
        *QUICK,
    )
    config = tomllib.loads(Path("first/config.toml").read_text())
    assert config["imitation"] == {"loss": "v0", "actor_learning_rate": {"initial": 1e-4, "final": 0.0}}
    succeed("train", "iq-learn", "--config", "first/config.toml", "--out", "second")
    for part in ("policy", "reward"):
        first, second = (Path(name, part, "tensors.safetensors").read_bytes() for name in ("first", "second"))
        assert first == second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["sqil", "--env", "Pendulum-v1"],
            "sqil needs demonstrations: give --demos NAME-or-FILE (shipped for Pendulum-v1: ",
        ),
        (["sqil", "--demos", "pendulum", "--generator", "ppo"], "learns from a replay buffer"),
        (["iq-learn", "--demos", "pendulum", "--generator", "td3"], "use sac as its generator"),
        (["iq-learn", "--demos", "pendulum", "--generator", "dqn"], "dqn acts in Discrete spaces"),
        (["iq-learn", "--demos", "pendulum", "--set", "imitation.los=value"], "did you mean 'loss'"),
        (["iq-learn", "--demos", "pendulum", "--set", "imitation.loss=values"], "loss: unknown 'values'"),
        (["iq-learn", "--demos", "pendulum", "--set", "imitation.chi2_alpha=high"], "imitation.chi2_alpha: given 'high'"),
        (["sqil", "--demos", "pendulum", "--set", "imitation.loss=value"], "unknown setting 'imitation.loss' for sqil"),
        (["sqil", "--demos", "pendulum", "--set", "adversary.loss=bce"], "sqil has no use for the setting 'adversary'"),
        (["gail", "--demos", "pendulum", "--set", "imitation.loss=v0"], "gail has no use for the setting 'imitation'"),
        (["sqil", "--demos", "pendulum", "--control", "frozen"], "sqil has no use for the setting 'control'"),
        (["iq_learn", "--demos", "pendulum"], "did you mean 'iq-learn'"),
    ],
)
def test_requests_that_cannot_be_met_say_what_can(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not os.listdir(tmp_path)
