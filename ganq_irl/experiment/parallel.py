"""Several runs at once, each in a process of its own with one thread, under one progress bar."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from ganq_irl.experiment.config import ExperimentConfig
from ganq_irl.experiment.runner import RunResult, run_experiment

_REPORT_EVERY = 500  # environment steps
_UPDATE_IN_STEPS = 5  # an update of BC takes about as long as this many environment steps

# Given to each worker process as it starts.
_reports: Queue[int]
_stop: Event


def run_all(jobs: Mapping[Path, ExperimentConfig], *, n_workers: int = 2) -> dict[Path, RunResult]:
    """Run experiments in worker processes, which do not touch the state of this one; they start in the order of ``jobs``.

    Args:
        jobs: run directory -> settings.
        n_workers: processes; never more than there are processors.

    Returns:
        Results by run directory, in the order of ``jobs``.

    Raises:
        GanqIrlError: the first that a run raises; the other runs are stopped.
    """
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    n_workers = max(1, min(n_workers, os.cpu_count() or 1, len(jobs)))
    with (
        tqdm(total=sum(map(_length, jobs.values())), unit="step", unit_scale=True, file=sys.stderr) as bar,
        ProcessPoolExecutor(n_workers, context, _start_worker, (reports, stop)) as pool,
    ):
        futures = [pool.submit(_run, config, folder) for folder, config in jobs.items()]
        try:
            _show_progress(bar, futures, reports)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        return dict(zip(jobs, [future.result() for future in futures], strict=True))


def _length(config: ExperimentConfig) -> int:
    return config.timesteps if config.timesteps is not None else config.bc["n_updates"] * _UPDATE_IN_STEPS


def _show_progress(bar: tqdm, futures: list[Future[RunResult]], reports: Queue[int]) -> None:
    """Move the bar until all runs have ended; raise what the first to fail raised."""
    unfinished = set(futures)
    while unfinished:
        finished, unfinished = wait(unfinished, timeout=0.2, return_when=FIRST_EXCEPTION)
        try:
            while True:
                bar.update(reports.get_nowait())
        except queue.Empty:
            pass
        for future in finished:
            future.result()
    bar.update((bar.total or 0) - bar.n)


def _start_worker(reports: Queue[int], stop: Event) -> None:
    global _reports, _stop
    _reports, _stop = reports, stop
    # Ctrl-C reaches every process of the terminal; this one ends when the first process says so.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module=r"imitation\.")  # of its use of torch, which no user can change


def _run(config: ExperimentConfig, folder: Path) -> RunResult:
    result = run_experiment(config, folder, progress_bar=False, callback=_Reporter(_length(config)))
    if config.timesteps is None:
        _reports.put(_length(config))
    return result


class _Reporter(BaseCallback):
    """Tell the first process how far the run is, and end the run when it says so."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length, self._reported = length, 0

    def _on_step(self) -> bool:
        done = min(self.num_timesteps, self._length)  # SB3 ends with a whole rollout
        if done - self._reported >= _REPORT_EVERY:
            _reports.put(done - self._reported)
            self._reported = done
            if _stop.is_set():
                raise KeyboardInterrupt
        return True
