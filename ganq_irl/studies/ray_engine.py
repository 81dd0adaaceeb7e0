"""Run the cells of a grid on a Ray cluster. Resuming, failures and results work as with local processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ganq_irl.errors import needed
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.studies.cells import Outcome, record_failure, run_cell
from ganq_irl.studies.execute import Engine


def ray_engine(gpus_per_run: float = 0.0) -> Engine:
    """Return an engine that sends each run to a running Ray cluster, or to one that it starts on this machine.

    Runs write to the grid's folder, so every node must see it at the same path.

    Args:
        gpus_per_run: GPUs that each run reserves, possibly a fraction; runs use them with ``--device cuda``.

    Raises:
        MissingDependency: Ray is not installed.
    """
    ray = connected_ray()

    def engine(runs: Mapping[Path, ExperimentConfig]) -> Iterator[Outcome]:
        # a run whose process died is a failed cell, which the next start runs again
        submit = submitter(ray, gpus_per_run)
        waiting = {submit(partial(run_cell, folder.resolve(), config)): folder for folder, config in runs.items()}
        try:
            while waiting:
                (finished,), _ = ray.wait(list(waiting), num_returns=1)
                folder = waiting.pop(finished)
                yield folder, _outcome(ray, finished, folder)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)

    return engine


def connected_ray() -> Any:
    """Return Ray, connected to the cluster of ``ray start --head`` or to a new one on this machine.

    Raises:
        MissingDependency: it is not installed.
    """
    ray: Any = needed("ray", "ray", "the engine ray")
    if not ray.is_initialized():
        # Ray puts the current folder first on the path of its workers, where any file could shadow a library's module.
        working_folder = os.getcwd()
        os.chdir(sys.prefix)
        try:
            _connect(ray)
        finally:
            os.chdir(working_folder)
    return ray


def _connect(ray: Any) -> None:
    try:
        ray.init(address="auto", log_to_driver=False)
    except ConnectionError:
        ray.init(include_dashboard=False, log_to_driver=False)


def submitter(ray: Any, gpus_per_run: float) -> Callable[[Callable[[], Any]], Any]:
    """Return a function that starts a task on the cluster and returns Ray's reference to the result."""
    working_folder = os.getcwd()
    is_ours = working_folder in map(os.path.abspath, sys.path)
    reserved = ray.remote(num_cpus=1, num_gpus=gpus_per_run, max_retries=0)
    work = reserved(_worker(working_folder, is_ours))
    return lambda task: work.remote([ray.put(task)])


def _worker(working_folder: str, is_ours: bool) -> Callable[[list[Any]], Any]:
    def work(task: list[Any]) -> Any:
        """Run a task. Ray sends this function by value and the task by reference, so nothing is imported before line one."""
        import os
        import sys

        others = [folder for folder in sys.path if folder != working_folder]
        sys.path[:] = [working_folder, *others] if is_ours else others
        if os.path.isdir(working_folder):  # paths in the settings may be relative to it
            os.chdir(working_folder)

        import ray
        import torch

        torch.set_num_threads(1)
        return ray.get(task[0])()

    return work


def _outcome(ray: Any, reference: Any, folder: Path) -> str | None:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        message = f"Ray lost the run: {str(error).strip().splitlines()[0]}"
        record_failure(folder, message)
        return message
