"""Requests that nothing can come of: one sentence that names the setting, exit code 2, and nothing left behind."""

import pytest
import torch
from click.testing import CliRunner

from ganq_irl_cli import main

SETTINGS = [
    ('generator_kwargs.gamma="x"', "gamma: given 'x'; expected a number"),
    ("generator_kwargs.gamma=2.0", "gamma: given 2.0; expected a number from 0 to 1"),
    ("generator_kwargs.max_grad_norm=-1", "max_grad_norm: given -1; expected at least 0"),
    ("generator_kwargs.policy_kwargs.net_arch=[100000000000]", "expected a list of layer widths"),
    ("generator_kwargs.n_steps=100000000000", "does not fit into memory"),
    ('env_kwargs.g="x"', "fails in its first step with env_kwargs {'g': 'x'}"),
    ('env_kwargs.render_mode="zzz"', "Pendulum-v1 has 'human', 'rgb_array'"),
    ("env_kwargs.render_mode=3", "cannot be made with env_kwargs {'render_mode': 3}"),
    ("env_kwargs.zzz=1", "cannot be made with env_kwargs {'zzz': 1}"),
    ("n_envs=1000000000000", "n_envs: given 1000000000000"),
    ("evaluation.seed=-1", "evaluation.seed: given -1; expected at least 0"),
    ("evaluation.episodes=1000000000000000000000", "evaluation.episodes: given"),
]
IMITATION = [
    ("bc", "bc.n_updates=-4", "bc.n_updates: given -4; expected a number above 0"),
    ("bc", "bc.batch_size=0", "bc.batch_size: given 0; expected at least 1"),
    ("bc", "bc.learning_rate=-1", "bc.learning_rate: given -1; expected at least 0"),
    ("gail", "adversary.hidden_sizes=[-1]", "adversary.hidden_sizes: given [-1]; expected a list of layer widths"),
    ("gail", 'adversary.stabilizers="r1"', "adversary.stabilizers: given 'r1'; expected a list"),
    ("gail", "adversary.bc_updates=-1", "adversary.bc_updates: given -1; expected at least 0"),
    ("dac", "adversary.absorbing=3", "adversary.absorbing: given 3; expected true or false"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    return result.output


@pytest.mark.parametrize(("setting", "said"), SETTINGS)
def test_a_setting_that_nothing_can_take(folder, setting, said):
    assert said in refused("train", "ppo", "--env", "Pendulum-v1", "--preset", "none", "--set", setting)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("algo", "setting", "said"), IMITATION)
def test_a_setting_of_imitation_that_nothing_can_take(folder, algo, setting, said):
    arguments = ("train", algo, "--env", "Pendulum-v1", "--demos", "pendulum", "--preset", "none", "--set", setting)
    assert said in refused(*arguments)
    assert not list(folder.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_no_fallback(folder):
    train = ("train", "bc", "--env", "Pendulum-v1", "--demos", "pendulum", "--n-trajectories", "1", "--out", "run")
    train += ("--set", "bc.n_updates=1", "--set", "evaluation.episodes=1")
    assert CliRunner().invoke(main, train).exit_code == 0
    assert "torch sees no CUDA device here" in refused("evaluate", "run", "--episodes", "1", "--device", "cuda")
