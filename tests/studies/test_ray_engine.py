"""The same cells on a Ray cluster that is started on this machine."""

import csv
import importlib.util
import os
import sys

import pytest

from ganq_irl.errors import MissingDependency
from ganq_irl.studies import ray_engine as module
from ganq_irl.studies import trials
from ganq_irl.studies.cells import run_cell
from ganq_irl.studies.execute import run_grid
from ganq_irl.studies.summary import summarize_grid
from tests.studies.grid_examples import InThisProcess, quick_grid
from tests.studies.planted import run_among_planted_modules

HAS_RAY = importlib.util.find_spec("ray") is not None


def without_times(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_ray_is_an_extra():
    with pytest.raises(MissingDependency, match=r"ganq-irl\[ray\]"):
        module.ray_engine()


class Wanted(Exception):
    """Ray was asked to run something."""


class Ray:
    """Remembers what it is asked to reserve, and runs nothing."""

    def __init__(self):
        self.reserved = []

    def remote(self, **resources):
        self.reserved.append(resources)
        raise Wanted


def test_gpus_are_reserved_for_each_run(monkeypatch, tmp_path):
    ray = Ray()
    for user in (module, trials):
        monkeypatch.setattr(user, "connected_ray", lambda: ray)
    with pytest.raises(Wanted):
        list(module.ray_engine(0.25)({}))
    with pytest.raises(Wanted):
        trials.run_sweep(None, tmp_path, "", 1, engine="ray", gpus_per_run=2)
    assert ray.reserved == [{"num_cpus": 1, "num_gpus": gpus, "max_retries": 0} for gpus in (0.25, 2)]


def dies_at_dqn(folder, config):
    """What a worker runs; a module's function, so that Ray's workers find it by its name."""
    if config.algo == "dqn":
        os._exit(3)
    return run_cell(folder, config)


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
        monkeypatch.setattr(module, "run_cell", dies_at_dqn)
        run = run_grid(quick_grid(["dqn", "bc"], seeds=1), tmp_path / "dying", engine=engine)
        assert list(run.failures) == ["dqn on CartPole-v1, seed 0"]
        assert "Ray lost the run" in run.failures["dqn on CartPole-v1, seed 0"]
        assert (tmp_path / "dying/cells/CartPole-v1/bc-n1/seed0/evaluation.json").is_file()
    finally:
        ray.shutdown()
    for folder in ("local", "ray"):
        summarize_grid(tmp_path / folder)
    for name in ("results.csv", "final.csv", "table.csv"):
        assert without_times(tmp_path / "local" / name) == without_times(tmp_path / "ray" / name)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
def test_modules_in_the_working_folder_are_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    program = (
        "import os\n"
        "from functools import partial\n"
        "from ganq_irl.studies.ray_engine import connected_ray, submitter\n"
        "from ganq_irl.runs.config import ExperimentConfig\n"
        "ray = connected_ray()\n"
        "config = ray.get(submitter(ray, 0)(partial(ExperimentConfig, 'bc', os.getcwd())))\n"
        "assert config.env == os.getcwd()\n"
    )
    done, ran = run_among_planted_modules(tmp_path, program)
    assert ran == []
    assert done.returncode == 0, done.stderr
