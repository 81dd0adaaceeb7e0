"""One cell of a grid on disk: trained anew, recorded as failed, or found finished."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import tomllib
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.errors import ConfigurationError, GanqIrlError
from ganq_irl.experiment.config import ExperimentConfig, parse_config
from ganq_irl.experiment.run_directory import EVALUATION, load_run, write_json
from ganq_irl.experiment.runner import run_experiment

FAILED = "failed.json"
SECONDS = "time/seconds"
"""Column of ``progress.csv``: wall time since training began, evaluations included."""


class _WallTime(BaseCallback):
    """Log the seconds since training began beside every evaluation."""

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        self.logger.record(SECONDS, time.perf_counter() - self._start, exclude="tensorboard")
        return True


def run_cell(folder: Path, config: ExperimentConfig) -> str | None:
    """Train and evaluate one cell in this process; what an earlier start left in its folder is deleted.

    Returns:
        None, or why it failed, which ``failed.json`` then says as well: one cell's failure is a result of the grid.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        run_experiment(config, folder, progress_bar=False, callback=_WallTime())
    except Exception as error:
        # A sentence of ours stands for itself; anything else keeps its class, for whoever has to look for the reason.
        message = str(error) if isinstance(error, GanqIrlError) else f"{type(error).__name__}: {error}"
        record_failure(folder, message)
        return message
    return None


def record_failure(folder: Path, message: str) -> None:
    """Write ``failed.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILED, {"error": message})


def failure(folder: Path) -> str | None:
    """What ``failed.json`` says; None where there is none."""
    try:
        content = json.loads((folder / FAILED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(content.get("error")) if isinstance(content, dict) else None


def is_finished(folder: Path, config: ExperimentConfig) -> bool:
    """Whether the cell's run ended well.

    Raises:
        ConfigurationError: it did, but with other settings than the grid asks for now.
    """
    try:
        run = load_run(folder)
    except GanqIrlError:  # nothing there yet, or killed while it was written
        return False
    if run.info.get("status") != "finished" or not (folder / EVALUATION).is_file() or (folder / FAILED).is_file():
        return False
    # Where the reward of another cell lies moves with the grid; which cell's it is follows from the cell's own path.
    if dataclasses.replace(run.config, reward=config.reward) != _as_stored(config):
        raise ConfigurationError(
            f"{folder} was trained with other settings than this grid asks for ({_difference(run.config, config)}); "
            "give the settings that it was trained with, or another --out"
        )
    return True


def _as_stored(config: ExperimentConfig) -> ExperimentConfig:
    return parse_config(ExperimentConfig, tomllib.loads(config.to_toml()))


def _difference(stored: ExperimentConfig, wanted: ExperimentConfig) -> str:
    """The first setting that differs."""
    found, asked = _flat(dataclasses.asdict(stored)), _flat(dataclasses.asdict(_as_stored(wanted)))
    key = next(key for key in sorted(found.keys() | asked.keys()) if found.get(key) != asked.get(key))
    return f"{key}: {found.get(key)!r} there, {asked.get(key)!r} here"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
