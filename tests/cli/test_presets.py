"""Looking at settings without training anything."""

import dataclasses
import json
import tomllib

import pytest

from ganq_irl.runs import load_presets, resolve_config
from tests.command_line import call


def test_presets_are_listed_with_what_they_are_for():
    presets = json.loads(call("presets", "list", "--json").stdout)["presets"]
    assert [preset["name"] for preset in presets] == list(load_presets())
    assert {"name": "ppo-cartpole", "algo": "ppo", "env": "CartPole", "generator": None, "timesteps": 100_000} in presets
    lines = call("presets", "list").stdout.splitlines()
    assert lines[0].split() == ["name", "algo", "env", "generator", "timesteps"]
    assert len(lines) == 1 + len(presets)


@pytest.mark.parametrize("name", list(load_presets())[::10])
def test_a_preset_is_shown_as_toml_and_as_json(name):
    assert tomllib.loads(call("presets", "show", name).stdout) == load_presets()[name]
    assert json.loads(call("presets", "show", name, "--json").stdout) == {"name": name, **load_presets()[name]}


def test_a_preset_that_there_is_not():
    result = call("presets", "show", "ppo-cartpol")
    assert result.exit_code == 2
    assert "did you mean 'ppo-cartpole'?" in result.stderr


def test_the_settings_of_a_run_are_shown_and_nothing_is_trained(tmp_path):
    out = tmp_path / "run"
    arguments = ["train", "ppo", "--env", "CartPole-v1", "--seed", "7", "--set", "n_envs=2", "--out", out, "--show-settings"]
    shown = call(*arguments)
    assert shown.exit_code == 0, shown.stderr
    assert not out.exists()
    (tmp_path / "shown.toml").write_text(shown.stdout)
    config = resolve_config({}, file=tmp_path / "shown.toml")
    expected = resolve_config({"algo": "ppo", "env": "CartPole-v1", "seed": 7, "n_envs": 2})
    assert config == dataclasses.replace(expected, preset="none")
    assert (config.seed, config.n_envs) == (7, 2)
    assert json.loads(call(*arguments, "--json").stdout)["generator_kwargs"] == config.generator_kwargs
