"""Run one cell of a grid: train or resume it, record a failure, and tell whether it is finished."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl import budget
from ganq_irl.errors import ConfigurationError, GanqIrlError, StorageError
from ganq_irl.files import read_json
from ganq_irl.runs.checkpoints import CheckpointStore
from ganq_irl.runs.config import ExperimentConfig, flatten, parse_config
from ganq_irl.runs.directory import CHECKPOINTS, EVALUATION, INFO, load_run, versions, write_json
from ganq_irl.runs.runner import resume_experiment, run_experiment
from ganq_irl.studies.workers import run_tasks

FAILED = "failed.json"
SECONDS = "time/seconds"
"""Column of ``progress.csv``: wall time since training began, including evaluations."""

Outcome = tuple[Path, str | None]
"""A run directory, and the error of its run, or None."""

_log = logging.getLogger(__name__)


def run_locally(runs: Mapping[Path, ExperimentConfig], n_workers: int) -> Iterator[Outcome]:
    """Run cells in worker processes and yield each outcome when it is known.

    Args:
        runs: run directory -> settings.
        n_workers: number of processes.
    """
    tasks = {folder: partial(run_cell, folder, config) for folder, config in runs.items()}
    with closing(run_tasks(tasks, n_workers)) as outcomes:
        for folder, outcome in outcomes:
            lost = outcome.exception()
            if lost is not None:
                record_failure(folder, str(lost))
            yield folder, outcome.result() if lost is None else str(lost)


class _WallTime(BaseCallback):
    """Callback that logs the wall time since training began; time before a resume counts."""

    def __init__(self) -> None:
        super().__init__()
        self.before = 0.0

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        self.logger.record(SECONDS, self._seconds(), exclude="tensorboard")
        return True

    def _seconds(self) -> float:
        return self.before + time.perf_counter() - self._start

    def state_dict(self) -> dict[str, float]:
        """Return the seconds of training so far."""
        return {"seconds": self._seconds()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore ``state_dict``."""
        self.before = state["seconds"]


@budget.read_limit()
def run_cell(folder: Path, config: ExperimentConfig) -> str | None:
    """Train and evaluate one cell in this process.

    An interrupted run with an intact checkpoint and the same settings and versions is resumed, bit for bit; anything else
    in the folder is deleted. Checkpoints are deleted at the end.

    Returns:
        None, or the error, which is also written to ``failed.json``: a failed cell is a result of the grid.
    """
    try:
        if not _resume(folder, config):
            shutil.rmtree(folder, ignore_errors=True)
            run_experiment(config, folder, progress_bar=False, callback=_WallTime())
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    except Exception as error:
        # our own messages are complete; other errors need their class to be understood
        message = str(error) if isinstance(error, GanqIrlError) else f"{type(error).__name__}: {error}"
        record_failure(folder, message)
        return message
    return None


def _resume(folder: Path, config: ExperimentConfig) -> bool:
    """Resume an interrupted run if the result equals that of a run from its seed; return whether it did."""
    try:
        run = load_run(folder)
        CheckpointStore(folder / CHECKPOINTS).newest()
    except GanqIrlError:  # no run, killed while it was written, or no intact checkpoint
        return False
    if run.config != _as_stored(config) or run.info.get("versions") != versions() or run.info.get("status") == "finished":
        return False
    (folder / FAILED).unlink(missing_ok=True)
    wall_time = _WallTime()
    try:
        resume_experiment(folder, progress_bar=False, callback=wall_time)
    except StorageError as error:
        _log.warning("%s is trained from its seed, since its checkpoint is of no use: %s", folder, error)
        return False
    info = load_run(folder).info
    info["seconds"]["train"] = round(info["seconds"]["train"] + wall_time.before, 3)
    write_json(folder / INFO, info)
    return True


def record_failure(folder: Path, message: str) -> None:
    """Write ``failed.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILED, {"error": message})


def failure(folder: Path) -> str | None:
    """Return the error in ``failed.json``, or None if there is none."""
    try:
        content = read_json(folder / FAILED)
    except StorageError:
        return None
    return str(content.get("error")) if isinstance(content, dict) else None


def is_finished(folder: Path, config: ExperimentConfig) -> bool:
    """Return whether a cell's run is finished and has not failed.

    Raises:
        ConfigurationError: it is finished, but has other settings than the grid.
    """
    try:
        run = load_run(folder)
    except GanqIrlError:  # no run yet, or killed while it was written
        return False
    if run.info.get("status") != "finished" or not (folder / EVALUATION).is_file() or (folder / FAILED).is_file():
        return False
    # the stored path of another cell's reward changes when the grid is moved; the cell's own path determines which it is
    if dataclasses.replace(run.config, reward=config.reward) != _as_stored(config):
        raise ConfigurationError(
            f"{folder} was trained with other settings than this grid asks for ({_difference(run.config, config)}); "
            "give the settings that it was trained with, or another --out"
        )
    return True


def _as_stored(config: ExperimentConfig) -> ExperimentConfig:
    return parse_config(ExperimentConfig, tomllib.loads(config.to_toml()))


def _difference(stored: ExperimentConfig, wanted: ExperimentConfig) -> str:
    """Return a description of the first setting that differs."""
    found, asked = flatten(dataclasses.asdict(stored)), flatten(dataclasses.asdict(_as_stored(wanted)))
    key = next(key for key in sorted(found.keys() | asked.keys()) if found.get(key) != asked.get(key))
    return f"{key}: {found.get(key)!r} there, {asked.get(key)!r} here"
