"""The adversarial algorithms beside GAIL and AIRL, from the command line."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganq_irl.rewards import RewardModel
from ganq_irl.runs import load_run, resolve_config
from ganq_irl_cli import main

SMALL = "--set generator_kwargs.policy_kwargs.net_arch=[8] --set adversary.hidden_sizes=[8] --set adversary.batch_size=16"
QUICK = f"--device cpu --preset none --set evaluation.episodes=2 --timesteps 128 {SMALL}"
REPLAY = "--set generator_kwargs.learning_starts=64 --set generator_kwargs.train_freq=4"
REPLAY += " --set generator_kwargs.gradient_steps=1"
ROLLOUT = "--set generator_kwargs.n_steps=64"


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(line):
        result = CliRunner().invoke(main, line.split())
        assert result.exit_code == 0, result.stderr
        return result

    return run


@pytest.mark.parametrize(
    ("demos", "generator", "algorithm"),
    [
        ("pendulum", "", "FastSAC"),
        ("cartpole", "", "DQN"),
        ("pendulum", "--generator td3", "TD3"),
        ("cartpole", "--generator gan-q", "GANQ"),
    ],
)
def test_dac_with_absorbing_states_and_half_the_updates(demos, generator, algorithm, call):
    options = "--set adversary.learns_absorbing=true --set adversary.n_updates=0.5 --json"
    result = json.loads(call(f"train dac --demos {demos} {generator} --out run {options} {QUICK} {REPLAY}").stdout)
    assert json.loads(call("evaluate run --device cpu --json").stdout)["mean_return"] == result["mean_return"]
    assert load_run("run").policy("cpu").algorithm == algorithm
    assert RewardModel.load("run/reward").provenance["algorithm"] == "dac"
    assert RewardModel.load("run/reward").discriminator.encoder.fields[-1] == "absorbing"
    assert tomllib.loads(Path("run/config.toml").read_text())["generator"] == {"GANQ": "gan-q", "FastSAC": "fast-sac"}.get(
        algorithm, algorithm.lower()
    )


@pytest.mark.parametrize("algo", ["fairl", "wail", "vail", "gaifo"])
def test_compositions_of_gail(algo, call):
    call(f"train {algo} --demos pendulum --n-trajectories 1 --out run {QUICK} {ROLLOUT}")
    run = load_run("run")
    assert run.config.generator == "fast-ppo"
    assert RewardModel.load("run/reward").provenance["algorithm"] == algo
    assert json.loads(call("evaluate run --device cpu --json").stdout)["mean_return"] < 0


def test_settings_of_its_own_and_of_the_algorithm_behind(call):
    options = "--set adversary.capacity=0.2 --set adversary.code_size=4 --set adversary.loss=js"
    call(f"train vail --demos cartpole --out run {options} {QUICK} {ROLLOUT} --control frozen")
    description = json.loads(Path("run/reward/config.json").read_text())
    assert description["discriminator"]["code_size"] == 4
    assert description["loss"] == "js"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dac --demos pendulum --generator ppo", "dac learns from a replay buffer, and ppo has none"),
        ("dac --demos pendulum --generator dqn", "(1,), float32); use sac, "),
        ("dac --demos pendulum --set adversary.absorb=true", "did you mean 'absorbing'"),
        ("vail --demos pendulum --set adversary.capcity=1", "did you mean 'capacity'"),
        ("fairl --demos pendulum --set adversary.learning_rat=1", "did you mean 'learning_rate'"),
        ("gail --demos pendulum --set adversary.learns_absorbing=true", "unknown setting 'adversary.learns_absorbing' for"),
        ("gaifo --demos pendulum --set adversary.inputs=['actions']", "remove 'actions', or use GAIL"),
        ("airl --demos pendulum --set adversary.entropy_weight=-1", "entropy_weight: given -1"),
        ("dac --env Pendulum-v1", "dac needs demonstrations"),
        ("vial --demos pendulum", "did you mean 'vail'"),
    ],
)
def test_requests_that_cannot_be_met_say_what_can(line, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", *line.split(), "--device", "cpu"])
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not os.listdir(tmp_path)


def test_the_preset_is_found_and_the_generator_follows_the_actions():
    assert resolve_config({"algo": "dac", "demos": "pendulum"}).preset == "dac-pendulum"
    for demos, generator in (("pendulum", "fast-sac"), ("cartpole", "dqn")):
        config = resolve_config({"algo": "dac", "demos": demos, "preset": "none"})
        assert (config.generator, config.generator_kwargs) == (generator, {"learning_starts": 1000})
    assert resolve_config({"algo": "gaifo", "demos": "pendulum", "preset": "none"}).generator == "fast-ppo"
