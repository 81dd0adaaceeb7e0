"""Environments that users register in modules of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = """
import gymnasium as gym
from gymnasium.envs.classic_control.pendulum import PendulumEnv

gym.register("Mine/Short-v0", entry_point=PendulumEnv, max_episode_steps=20)
"""
TINY = ("--timesteps", "32", "--set", "generator_kwargs.n_steps=16", "--set", "generator_kwargs.batch_size=8")
TINY += ("--set", "evaluation.episodes=1", "--device", "cpu")


def ganq_irl(folder, *arguments, **environment):
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "cli", ROOT / "demos"))
    # -P: as the console script, without the working directory on the path.
    return subprocess.run(
        [sys.executable, "-P", "-c", "from ganq_irl_cli import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_environments.py").write_text(MODULE)
    return tmp_path


def test_a_module_in_the_working_directory_is_trained_in_and_evaluated(folder):
    trained = ganq_irl(
        folder, "--import", "my_environments", "train", "ppo", "--env", "Mine/Short-v0", "--out", "run", *TINY
    )
    assert trained.returncode == 0, trained.stderr
    unknown = ganq_irl(folder, "evaluate", "run", "--episodes", "1")
    assert unknown.returncode == 2
    assert "Mine" in unknown.stderr
    known = ganq_irl(folder, "evaluate", "run", "--episodes", "1", "--json", GANQ_IRL_IMPORT="my_environments")
    assert json.loads(known.stdout)["episodes"] == 1


def test_worker_processes_know_it_as_well(folder):
    request = ("--algos", "ppo", "--env", "Mine/Short-v0", "--seeds", "1", "--jobs", "2", "--out", "grid")
    done = ganq_irl(folder, "--import", "my_environments", "compare", *request, *TINY[:-2])
    assert done.returncode == 0, done.stderr
    assert "Mine/Short-v0" in done.stdout


def test_a_module_that_is_not_there_is_said_in_a_sentence(folder):
    refused = ganq_irl(folder, "--import", "nobodys_environments", "demos", "list")
    assert refused.returncode == 2
    assert "nobodys_environments cannot be imported" in refused.stderr
    assert "Traceback" not in refused.stderr
