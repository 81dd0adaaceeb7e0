"""A run watched in Weights & Biases, through its own integration with SB3: everything that TensorBoard is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.errors import ConfigurationError, MissingDependency
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.runner import RunResult
from ganq_irl.runs.validation import check_config


class WandbRun:
    """A run in Weights & Biases that has begun.

    Attributes:
        callback: to be given to ``run_experiment``.
    """

    def __init__(self, run: Any, callback: BaseCallback) -> None:
        self._run, self.callback = run, callback

    def conclude(self, result: RunResult) -> None:
        """Put the final evaluation into the run's summary."""
        evaluation = result.evaluation
        self._run.summary.update({"final/mean_return": evaluation.mean_return, "final/normalized": evaluation.normalized})


@contextmanager
def watched_by_wandb(project: str, config: ExperimentConfig, folder: Path) -> Iterator[WandbRun]:
    """Begin a run in Weights & Biases, and end it with the block: as failed where that raises.

    It reads TensorBoard's events as they are written (``sync_tensorboard``). Its own environment variables hold, such as
    ``WANDB_MODE=offline``.

    Args:
        project: where the run goes.
        config: the settings, shown beside the run; wrong ones begin none.
        folder: the run directory, whose name the run gets.

    Raises:
        MissingDependency: it is not installed.
        GanqIrlError: the settings are wrong.
    """
    try:
        import wandb
        from wandb.integration.sb3 import WandbCallback
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "Weights & Biases is not installed; install it with: pip install 'ganq-irl[wandb]'"
        ) from error
    settings = dataclasses.asdict(check_config(config))
    # Before any TensorBoard writer is made, since those are what it watches.
    try:
        run = wandb.init(project=project, name=folder.name, config=settings, sync_tensorboard=True)
    except wandb.errors.Error as error:
        raise ConfigurationError(
            f"Weights & Biases cannot begin the project {project!r} ({error}); set WANDB_MODE=offline to keep the run here"
        ) from error
    try:
        yield WandbRun(run, WandbCallback())
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
