"""Environments that users register in modules of their own."""

import json
import sys
from functools import partial

import gymnasium as gym
import pytest

from ganq_irl.environments.own import VARIABLE, import_environments, import_named
from ganq_irl.studies.workers import run_tasks

MODULE = """
import gymnasium as gym
from gymnasium.envs.classic_control.pendulum import PendulumEnv

gym.register("Mine/Short-v0", entry_point=PendulumEnv, max_episode_steps=20)
"""
TINY = ("--timesteps", "32", "--set", "generator_kwargs.n_steps=16", "--set", "generator_kwargs.batch_size=8")
TINY += ("--device", "cpu", "--set", "evaluation.episodes=1")


def forget():
    sys.modules.pop("my_environments", None)
    gym.registry.pop("Mine/Short-v0", None)


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module of the user's in the working directory, which Python does not search, as under the console script."""
    (tmp_path / "my_environments.py").write_text(MODULE)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield
    forget()


def test_a_module_in_the_working_directory_is_trained_in_and_evaluated(run, monkeypatch):
    one_episode = ("--set", "evaluation.episodes=1")
    trained = run(
        "--import", "my_environments", "train", "ppo", "--env", "Mine/Short-v0", "--out", "run", *TINY, *one_episode
    )
    assert trained.exit_code == 0, trained.stderr
    forget()
    monkeypatch.setenv(VARIABLE, "")
    unknown = run("evaluate", "run", "--episodes", "1")
    assert unknown.exit_code == 2
    assert "Mine" in unknown.stderr
    monkeypatch.setenv(VARIABLE, "my_environments")
    import_named()  # as importing ganq_irl.environments does
    known = run("evaluate", "run", "--episodes", "1", "--json")
    assert json.loads(known.stdout)["episodes"] == 1


def horizon(env_id):
    return gym.spec(env_id).max_episode_steps


def test_worker_processes_know_it_as_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import_environments(["my_environments"])
    ((_, outcome),) = run_tasks({"only": partial(horizon, "Mine/Short-v0")}, 1)
    assert outcome.result() == 20


def test_a_module_that_is_not_there_is_said_in_a_sentence(run):
    refused = run("--import", "nobodys_environments", "demos", "list")
    assert refused.exit_code == 2
    assert "nobodys_environments cannot be imported" in refused.stderr
    assert "Traceback" not in refused.stderr
