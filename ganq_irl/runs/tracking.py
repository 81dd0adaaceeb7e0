"""Track a run in Weights & Biases, through its SB3 integration, which copies everything from TensorBoard."""

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
    """A started run in Weights & Biases.

    Attributes:
        callback: pass it to ``run_experiment``.
    """

    def __init__(self, run: Any, callback: BaseCallback) -> None:
        self._run, self.callback = run, callback

    def log_result(self, result: RunResult) -> None:
        """Write the final evaluation to the run's summary."""
        evaluation = result.evaluation
        self._run.summary.update({"final/mean_return": evaluation.mean_return, "final/normalized": evaluation.normalized})


@contextmanager
def wandb_run(project: str, config: ExperimentConfig, folder: Path) -> Iterator[WandbRun]:
    """Start a run in Weights & Biases and finish it after the block, as failed if the block raises.

    It reads TensorBoard's events as they are written (``sync_tensorboard``). Environment variables such as
    ``WANDB_MODE=offline`` work as usual.

    Args:
        project: name of the project.
        config: the settings, checked before the run starts.
        folder: the run directory, which gives the run its name.

    Raises:
        MissingDependency: wandb is not installed.
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
    # wandb must start before any TensorBoard writer is created, since it patches the writer
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
