"""Cells that are killed with a good checkpoint are gone on with, to the same end."""

import csv
import json
import multiprocessing
import os

import pytest

from ganq_irl.studies import cells as cell_runs
from ganq_irl.studies.execute import run_grid
from ganq_irl.studies.summary import summarize_grid
from tests.studies.grid_examples import InThisProcess, quick_grid

KILLED = 9
CELLS = {"dqn": "dqn", "gail": "gail-n1", "dqn@gail": "dqn@gail-n1"}


def grid_with_checkpoints(*algos):
    return quick_grid(algos or CELLS, seeds=1, checkpoint_every=32)


def cell_of(folder, method):
    return folder / "cells/CartPole-v1" / CELLS[method] / "seed0"


def run_until(folder, grid, doomed, step):
    """Run a grid in a process that dies at a step of one of its cells, as SIGKILL does."""

    def work():
        on_step = cell_runs._WallTime._on_step

        def dying(self):
            if self.logger.dir == str(doomed) and self.num_timesteps >= step:
                os._exit(KILLED)
            return on_step(self)

        cell_runs._WallTime._on_step = dying
        run_grid(grid, folder, engine=InThisProcess())

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == KILLED


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_times(path):
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows_of(path)]


@pytest.fixture(scope="module")
def through(tmp_path_factory):
    folder = tmp_path_factory.mktemp("through")
    run_grid(grid_with_checkpoints(), folder, engine=InThisProcess())
    summarize_grid(folder)
    return folder


@pytest.fixture
def steps(monkeypatch):
    """The steps that cells take, by folder."""
    seen = {}
    on_step = cell_runs._WallTime._on_step

    def watched(self):
        seen.setdefault(self.logger.dir, []).append(self.num_timesteps)
        return on_step(self)

    monkeypatch.setattr(cell_runs._WallTime, "_on_step", watched)
    return seen


@pytest.mark.parametrize("method", ["dqn", "gail", "dqn@gail"])
def test_a_killed_cell_resumes_from_its_checkpoint_and_gives_the_same_tables(method, through, tmp_path, steps):
    doomed = cell_of(tmp_path, method)
    run_until(tmp_path, grid_with_checkpoints(), doomed, 80)
    assert run_grid(grid_with_checkpoints(), tmp_path, engine=InThisProcess()).failures == {}
    assert (steps[str(doomed)][0], steps[str(doomed)][-1]) == (65, 96)
    assert "resumed" in json.loads((doomed / "run.json").read_text())
    summarize_grid(tmp_path)
    for name in ("results.csv", "final.csv", "table.csv"):
        assert without_times(tmp_path / name) == without_times(through / name)
    policy = "policy/tensors.safetensors"
    assert (doomed / policy).read_bytes() == (cell_of(through, method) / policy).read_bytes()
    seconds = [float(row["time/seconds"]) for row in rows_of(doomed / "progress.csv") if row["eval/mean_reward"]]
    assert seconds == sorted(seconds)
    assert json.loads((doomed / "run.json").read_text())["seconds"]["train"] >= seconds[-1] - 0.001
    assert not (doomed / "checkpoints").exists()


def change_version(folder):
    info = json.loads((folder / "run.json").read_text())
    info["versions"]["numpy"] = "0.1"
    (folder / "run.json").write_text(json.dumps(info))


def damage(folder):
    for path in folder.glob("checkpoints/*/manifest.json"):
        path.write_text("{}")


def change_settings(folder):
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("timesteps = 96", "timesteps = 128"))


@pytest.mark.parametrize("change", [change_version, damage, change_settings])
def test_a_cell_does_not_resume_from_a_checkpoint_of_another_request(change, through, tmp_path, steps):
    doomed = cell_of(tmp_path, "dqn")
    run_until(tmp_path, grid_with_checkpoints("dqn"), doomed, 80)
    change(doomed)
    assert run_grid(grid_with_checkpoints("dqn"), tmp_path, engine=InThisProcess()).failures == {}
    assert steps[str(doomed)][0] == 1
    policy = "policy/tensors.safetensors"
    assert (doomed / policy).read_bytes() == (cell_of(through, "dqn") / policy).read_bytes()


def test_a_cell_whose_checkpoint_does_not_load_starts_over(tmp_path, steps, monkeypatch, caplog):
    doomed = cell_of(tmp_path, "dqn")
    run_until(tmp_path, grid_with_checkpoints("dqn"), doomed, 80)

    def unfit(*_, **__):
        raise cell_runs.StorageError("made of other parts")

    monkeypatch.setattr("ganq_irl.runs.checkpoints.callback.load_training_state", unfit)
    assert run_grid(grid_with_checkpoints("dqn"), tmp_path, engine=InThisProcess()).failures == {}
    assert steps[str(doomed)][0] == 1
    assert "made of other parts" in caplog.text
