"""Where the trials of a sweep run: here, in several processes, or on a Ray cluster. All that they share is the storage."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ganq_irl.experiment.sweep import SweepConfig, run_trials


def run_sweep_locally(config: SweepConfig, folder: Path, storage: str, n_trials: int, *, jobs: int, seed: int) -> None:
    """Run trials in ``jobs`` processes, or in this one."""
    if jobs == 1:
        run_trials(config, folder, storage, n_trials, seed)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_work, config, folder, storage, n_trials, seed + worker) for worker in range(jobs)]
        for future in futures:
            future.result()


def run_sweep_on_ray(
    config: SweepConfig, folder: Path, storage: str, n_trials: int, *, jobs: int, seed: int, gpus_per_run: float
) -> None:
    """Run trials in ``jobs`` processes of a Ray cluster, which all have to see the folder and the storage.

    Raises:
        MissingDependency: Ray is not installed.
    """
    from ganq_irl.experiment.ray_engine import connected_ray

    ray = connected_ray()
    remote = ray.remote(num_cpus=1, num_gpus=gpus_per_run, max_retries=0)(_work)
    folder = folder.resolve()
    ray.get([remote.remote(config, folder, storage, n_trials, seed + worker) for worker in range(jobs)])


def _work(config: SweepConfig, folder: Path, storage: str, n_trials: int, seed: int) -> None:
    import torch

    torch.set_num_threads(1)
    run_trials(config, folder, storage, n_trials, seed)
