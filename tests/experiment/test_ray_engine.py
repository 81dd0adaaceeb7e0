"""The same cells on a Ray cluster that is started on this machine."""

import csv
import importlib.util
import os
import sys

import pytest
from grid_examples import InThisProcess, quick_grid

from ganq_irl.errors import MissingDependency
from ganq_irl.experiment import ray_engine as module
from ganq_irl.experiment.compare import conclude
from ganq_irl.experiment.grid_runner import run_grid

HAS_RAY = importlib.util.find_spec("ray") is not None


def without_times(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_ray_is_an_extra():
    with pytest.raises(MissingDependency, match=r"ganq-irl\[ray\]"):
        module.ray_engine()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
def test_ray_gives_the_tables_of_the_local_engine_resumes_and_survives_a_failure(tmp_path, monkeypatch):
    import ray

    # Ray's workers are new processes, which have to find the package and these tests.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # a machine that is busy takes longer than Ray waits
    failing = {"gail": {"generator_kwargs": {"n_steps": 8, "n_epochs": 1}, "adversary": {"batch_size": 16}}}
    grid = quick_grid(["dqn", "bc", "gail"], seeds=1, methods=quick_grid().methods | failing)
    run_grid(grid, tmp_path / "local", engine=InThisProcess())
    try:
        engine = module.ray_engine()
        run = run_grid(grid, tmp_path / "ray", engine=engine)
        assert list(run.failures) == ["gail on CartPole-v1, 1 demonstrations, seed 0"]
        assert "a batch would repeat transitions" in next(iter(run.failures.values()))
        assert run_grid(grid, tmp_path / "ray", engine=engine).n_run == 1  # what failed, and nothing else
    finally:
        ray.shutdown()
    for folder in ("local", "ray"):
        conclude(tmp_path / folder)
    for name in ("results.csv", "final.csv", "table.csv"):
        assert without_times(tmp_path / "local" / name) == without_times(tmp_path / "ray" / name)
