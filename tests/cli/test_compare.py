"""Comparisons from the command line: a tiny grid with worker processes, continued, and killed."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from ganq_irl.studies import execute as grid_runner
from ganq_irl.studies.cells import run_cell
from ganq_irl_cli import main

TINY = """\
algos = ["dqn", "bc", "gail"]
env = ["CartPole-v1"]
n_demos = [1]
seeds = 1
timesteps = 96
preset = "none"
evaluation = { episodes = 2, every = 32 }
[methods.dqn.generator_kwargs]
learning_starts = 16
[methods.gail]
generator_kwargs = { n_steps = 32, n_epochs = 1 }
adversary = { batch_size = 16 }
[methods.bc.bc]
n_updates = 5
"""


@pytest.fixture
def request_file(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(TINY)
    return path


def in_this_process(runs, n_workers):
    for folder, config in runs.items():
        yield folder, run_cell(folder, config)


def test_a_grid_its_tables_and_one_more_seed(request_file, tmp_path, monkeypatch):
    monkeypatch.setattr(grid_runner, "run_locally", in_this_process)
    out = tmp_path / "out"
    first = CliRunner().invoke(main, ["compare", "--config", str(request_file), "--out", str(out), "--json"])
    assert first.exit_code == 0, first.stderr
    content = json.loads(first.stdout)
    assert [(row["method"], row["runs"]) for row in content["table"]] == [("dqn", 1), ("bc", 1), ("gail", 1)]
    assert [(pair["first"], pair["second"]) for pair in content["improvement"]] == [("bc", "gail")]
    assert content["failures"] == {}
    trained = (out / "cells/CartPole-v1/dqn/seed0/run.json").stat().st_mtime_ns
    more = CliRunner().invoke(main, ["compare", "--out", str(out), "--seeds", "2", "--algos", "dqn,bc"])
    assert more.exit_code == 0, more.stderr
    assert "## Reward known" in more.stdout
    assert "## What this shows, and what it does not" in more.stdout
    assert (out / "cells/CartPole-v1/dqn/seed0/run.json").stat().st_mtime_ns == trained
    assert (out / "cells/CartPole-v1/bc-n1/seed1/run.json").is_file()
    assert not (out / "cells/CartPole-v1/gail-n1/seed1").exists()


def test_the_page_of_a_grid(request_file, tmp_path, monkeypatch):
    monkeypatch.setattr(grid_runner, "run_locally", in_this_process)
    out, page = tmp_path / "out", tmp_path / "page.html"
    CliRunner().invoke(main, ["compare", "--config", str(request_file), "--algos", "bc", "--out", str(out)])
    plain = ["report", str(out), "--out", str(page), "--no-pictures", "--no-videos", "--json"]
    result = CliRunner().invoke(main, plain)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"report": str(page), "figures": []}
    text = page.read_text(encoding="utf-8")
    assert "Protocol: demonstrations only, 1 demonstration" in text
    assert "<img" not in text
    wrong = CliRunner().invoke(main, ["report", str(tmp_path / "other")])
    assert wrong.exit_code == 2
    assert "holds no grid.toml" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algos", "gan-q,gial", "--env", "CartPole-v1"], "did you mean 'gail'"),
        (["--algos", "dqn"], "env: given None; expected one name or more"),
        (["--algos", "dqn", "--env", "CartPole-v1", "--n-demos", "one"], "n_demos: given ['one']"),
        (["--algos", "dqn", "--env", "CartPole-v1", "--vary", "n_envs"], "expected key=value,value"),
        (["--algos", "dqn", "--env", "CartPole-v1", "--gpus-per-run", "1"], "--engine ray"),
        (["--algos", "sac", "--env", "CartPole-v1"], "sac acts in Box spaces"),
    ],
)
def test_wrong_requests(arguments, message, tmp_path):
    result = CliRunner().invoke(main, ["compare", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def without_times(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]


def start(request_file, out):
    command = [sys.executable, "-m", "ganq_irl_cli", "compare", "--config", str(request_file), "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, "--jobs", "2"], env=environment, start_new_session=True, **quiet)


@pytest.mark.slow
def test_a_grid_killed_twice_gives_the_same_tables(request_file, tmp_path):
    """Killed at random moments after a cell began: all of its processes at once, or the first, which takes all along.

    With checkpoints, so that a cell goes on from wherever it was.
    """
    request_file.write_text("checkpoint_every = 64\n" + TINY.replace("timesteps = 96", "timesteps = 1500"))
    assert start(request_file, tmp_path / "through").wait() == 0
    moments = random.Random(0)
    for repetition in range(3):
        killed = tmp_path / f"killed{repetition}"
        for kill in (os.killpg, os.kill):
            process = start(request_file, killed)
            while not list(killed.glob("cells/*/*/*/run.json")):
                assert process.poll() is None
                time.sleep(0.02)
            time.sleep(moments.uniform(0, 4))
            if process.poll() is None:
                kill(process.pid, signal.SIGKILL)
            process.wait()
        assert start(request_file, killed).wait() == 0
        for name in ("results.csv", "final.csv", "table.csv", "improvement.csv"):
            assert without_times(tmp_path / "through" / name) == without_times(killed / name)
