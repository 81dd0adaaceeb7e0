"""Where the trials of a sweep run: here, in several processes, or on a Ray cluster. All that they share is the storage."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ganq_irl.studies.sweep import SweepConfig, run_trials
from ganq_irl.studies.workers import run_tasks


def run_sweep_locally(config: SweepConfig, folder: Path, storage: str, n_trials: int, *, jobs: int, seed: int) -> None:
    """Run trials in ``jobs`` processes, or in this one."""
    if jobs == 1:
        run_trials(config, folder, storage, n_trials, seed)
        return
    searches = {worker: partial(run_trials, config, folder, storage, n_trials, seed + worker) for worker in range(jobs)}
    for outcome in [outcome for _, outcome in run_tasks(searches, jobs)]:
        outcome.result()  # one that failed, or was lost, has not kept the others from their trials


def run_sweep_on_ray(
    config: SweepConfig, folder: Path, storage: str, n_trials: int, *, jobs: int, seed: int, gpus_per_run: float
) -> None:
    """Run trials in ``jobs`` processes of a Ray cluster, which all have to see the folder and the storage.

    Raises:
        MissingDependency: Ray is not installed.
    """
    from ganq_irl.studies.ray_engine import connected_ray, submitter

    ray = connected_ray()
    submit, folder = submitter(ray, gpus_per_run), folder.resolve()
    ray.get([submit(partial(run_trials, config, folder, storage, n_trials, seed + worker)) for worker in range(jobs)])
