"""GAN-Q from the command line: by itself, as the generator of an imitator, and continuous."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from ganq_irl.runs import load_run, resolve_config
from tests.command_line import call

QUICK = ["--device", "cpu", "--set", "evaluation.episodes=2", "--set", "generator_kwargs.batch_size=16"]
SMALL = [
    "--set",
    "generator_kwargs.learning_starts=64",
    "--set",
    "generator_kwargs.train_freq=8",
    "--set",
    "generator_kwargs.gradient_steps=2",
    "--set",
    "generator_kwargs.policy_kwargs.net_arch=[8]",
    "--set",
    "generator_kwargs.critic_hidden_sizes=[8]",
    "--set",
    "generator_kwargs.stabilizers=['spectral-norm', {name = 'instance-noise', std = 0.1}]",
]


def test_train_evaluate_and_pictures(succeed):
    rates = "generator_kwargs.critic_learning_rate={ initial = 1e-2, final = 1e-3 }"
    options = ["--timesteps", "300", *QUICK, *SMALL, "--set", "evaluation.every=100", "--set", rates]
    trained = succeed("train", "gan-q", "--env", "CartPole-v1", "--out", "run", *options)
    assert "preset gan-q-cartpole" in trained.stderr
    config = tomllib.loads(Path("run/config.toml").read_text())
    assert config["generator_kwargs"]["critic_learning_rate"] == {"initial": 0.01, "final": 0.001}
    assert config["generator_kwargs"]["stabilizers"] == ["spectral-norm", {"name": "instance-noise", "std": 0.1}]
    content = json.loads(succeed("evaluate", "run", "--device", "cpu", "--pictures", "pictures", "--json").stdout)
    assert content["values"]["pairs"] > 0
    assert content["pictures"] == [os.path.join("pictures", name) for name in ("loss.png", "score.png", "values.png")]
    policy = load_run("run").policy("cpu")
    assert policy.algorithm == "GANQ"
    assert policy.return_distribution(policy.observation_space.sample()[None], 7).shape == (1, 2, 7)


def test_its_own_config_repeats_a_run(succeed):
    succeed("train", "gan-q", "--env", "CartPole-v1", "--timesteps", "200", "--out", "first", *QUICK, *SMALL)
    succeed("train", "gan-q", "--config", "first/config.toml", "--out", "second")
    first, second = (Path(name, "policy", "tensors.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize("algo", ["gail", "airl"])
def test_adversarial_reward_and_adversarial_value_at_once(succeed, algo):
    options = ["--demos", "cartpole", "--generator", "gan-q", "--timesteps", "300", "--set", "adversary.batch_size=32"]
    succeed("train", algo, "--out", "run", *options, *QUICK, *SMALL)
    run = load_run("run")
    assert run.config.generator == "gan-q"
    assert os.path.isdir("run/reward")
    assert run.policy("cpu").algorithm == "GANQ"


def test_continuous_by_itself_and_in_gail(succeed):
    small = [*QUICK, *SMALL, "--timesteps", "100"]
    succeed("train", "gan-q-continuous", "--env", "Pendulum-v1", "--out", "run", *small)
    assert json.loads(succeed("evaluate", "run", "--device", "cpu", "--json").stdout)["mean_return"] < 0
    policy = load_run("run").policy("cpu")
    assert policy.return_distribution(policy.observation_space.sample()[None], 7).shape == (1, 7)
    options = ["--demos", "pendulum", "--generator", "gan-q-continuous", "--set", "adversary.batch_size=32"]
    succeed("train", "gail", "--out", "gail", *options, *small)
    assert load_run("gail").policy("cpu").algorithm == "ContinuousGANQ"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gan-q", "--env", "Pendulum-v1"], "gan-q acts in Discrete spaces"),
        (["gan-q", "--env", "Pendulum-v1"], "gan-q-continuous"),
        (["gan-q-continuous", "--env", "CartPole-v1"], "dqn, qrdqn or gan-q"),
        (["gan-q", "--env", "CartPole-v1", "--demos", "cartpole"], "--generator gan-q"),
        (["gan-q", "--env", "CartPole-v1", "--set", "generator_kwargs.n_step=3"], "did you mean 'n_steps'"),
        (["gan-q", "--env", "CartPole-v1", "--set", "generator_kwargs.loss=wgan"], "wasserstein"),
        (["gan-q", "--env", "CartPole-v1", "--set", "generator_kwargs.critic_learning_rate=fast"], "critic_learning_rate"),
        (["gan_q", "--env", "CartPole-v1"], "did you mean 'gan-q'"),
        (["airl", "--demos", "pendulum", "--generator", "gan-q-continuous"], "airl needs log"),
    ],
)
def test_requests_that_cannot_be_met_say_what_can(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not os.listdir(tmp_path)


def test_presets_are_found_by_environment():
    for env, preset in {"CartPole-v1": "cartpole", "Acrobot-v1": "acrobot", "MountainCar-v0": "mountaincar"}.items():
        assert resolve_config({"algo": "gan-q", "env": env}).preset == f"gan-q-{preset}"
    assert resolve_config({"algo": "gan-q-continuous", "env": "Pendulum-v1"}).preset == "gan-q-pendulum"
