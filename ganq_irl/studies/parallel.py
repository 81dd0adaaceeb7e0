"""Several runs at once, each in a process of its own, under one progress bar."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.progress import make_progress_bar
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.runner import RunResult, run_experiment
from ganq_irl.studies.workers import report, run_tasks

_REPORT_EVERY = 500  # environment steps
_UPDATE_IN_STEPS = 5  # an update of BC takes about as long as this many environment steps


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
    tasks = {folder: partial(_run, config, folder) for folder, config in jobs.items()}
    results = {}
    with (
        make_progress_bar(total=sum(map(_length, jobs.values())), unit="step", unit_scale=True) as bar,
        closing(run_tasks(tasks, max(1, min(n_workers, os.cpu_count() or 1)), bar.update)) as outcomes,
    ):
        for folder, outcome in outcomes:
            results[folder] = outcome.result()
        bar.update((bar.total or 0) - bar.n)
    return {folder: results[folder] for folder in jobs}


def _length(config: ExperimentConfig) -> int:
    return config.timesteps if config.timesteps is not None else config.bc["n_updates"] * _UPDATE_IN_STEPS


def _run(config: ExperimentConfig, folder: Path) -> RunResult:
    result = run_experiment(config, folder, progress_bar=False, callback=_Reporter(_length(config)))
    if config.timesteps is None:
        report(_length(config))
    return result


class _Reporter(BaseCallback):
    """Tell the first process how far the run is."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length, self._reported = length, 0

    def _on_step(self) -> bool:
        done = min(self.num_timesteps, self._length)  # SB3 ends with a whole rollout
        if done - self._reported >= _REPORT_EVERY:
            report(done - self._reported)
            self._reported = done
        return True
