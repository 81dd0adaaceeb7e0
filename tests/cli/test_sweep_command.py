"""The search for hyperparameters from the command line."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ganq_irl_cli import main

pytest.importorskip("optuna")

TINY = """\
algos = ["dqn"]
env = ["CartPole-v1"]
seeds = 1
timesteps = 64
preset = "none"
evaluation = { episodes = 2, every = 32 }
[methods.dqn.generator_kwargs]
learning_starts = 16
[search]
"generator_kwargs.gamma" = { low = 0.9, high = 0.99 }
"""


def test_a_search_and_its_best_trial(tmp_path):
    request, out = tmp_path / "sweep.toml", tmp_path / "out"
    request.write_text(TINY)
    arguments = ["sweep", "--config", str(request), "--out", str(out)]
    result = CliRunner().invoke(main, [*arguments, "--trials", "2", "--json"])
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["trials"] == {"complete": 2}
    assert 0.9 <= content["settings"]["generator_kwargs.gamma"] <= 0.99
    assert (out / "journal.log").is_file()
    again = CliRunner().invoke(main, [*arguments, "--trials", "2"])
    assert again.stdout.startswith(f"trial {content['trial']}: score ")
    request.write_text(TINY.replace("[search]", "[searches]"))
    wrong = CliRunner().invoke(main, ["sweep", "--config", str(request), "--out", str(tmp_path / "other")])
    assert wrong.exit_code == 2
    assert "nothing to search" in wrong.stderr
    assert not (tmp_path / "other").exists()


def trials_of(out):
    return sorted(int(path.name) for path in (out / "trials").iterdir())


@pytest.mark.slow
def test_two_jobs_share_a_journal(tmp_path):
    request, out = tmp_path / "sweep.toml", tmp_path / "out"
    request.write_text(TINY)
    arguments = ["sweep", "--config", str(request), "--out", str(out), "--jobs", "2", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--trials", "4"])
    assert result.exit_code == 0, result.stderr
    complete = json.loads(result.stdout)["trials"]["complete"]
    assert complete in (4, 5)  # a trial that is under way when the last one ends is finished
    assert trials_of(out) == list(range(complete))
    more = CliRunner().invoke(main, [*arguments, "--trials", "6"])
    assert json.loads(more.stdout)["trials"]["complete"] in (6, 7)


@pytest.mark.slow
def test_two_processes_share_a_database(tmp_path):
    """As two machines do: each has its own command, the same folder and the same storage."""
    pytest.importorskip("sqlalchemy")
    request, out = tmp_path / "sweep.toml", tmp_path / "out"
    request.write_text(TINY)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    arguments = ["sweep", "--config", str(request), "--out", str(out), "--storage", storage, "--json"]
    first = CliRunner().invoke(main, [*arguments, "--trials", "1"])  # makes the tables
    assert first.exit_code == 0, first.stderr
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "ganq_irl_cli", *arguments, "--trials", "5"]
    both = [
        subprocess.Popen([*command, "--seed", str(seed)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for seed in (1, 2)
    ]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    complete = max(json.loads(output)["trials"]["complete"] for output, _ in outputs)
    assert complete in (5, 6)
    assert trials_of(out) == list(range(complete))
    assert not (out / "journal.log").exists()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_trials_on_ray(tmp_path, monkeypatch):
    import ray

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    request, out = tmp_path / "sweep.toml", tmp_path / "out"
    request.write_text(TINY)
    arguments = ["sweep", "--config", str(request), "--out", str(out), "--engine", "ray", "--trials", "2", "--json"]
    try:
        result = CliRunner().invoke(main, arguments)
    finally:
        ray.shutdown()
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["trials"] == {"complete": 2}
    assert trials_of(out) == [0, 1]
