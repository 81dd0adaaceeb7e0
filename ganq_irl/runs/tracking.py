"""Track a run in Weights & Biases, through its SB3 integration, which copies everything from TensorBoard."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ganq_irl.errors import ConfigurationError, needed
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.runner import RunResult, run_experiment
from ganq_irl.runs.validation import check_config


def run_tracked(project: str, config: ExperimentConfig, folder: Path) -> RunResult:
    """Run an experiment, and log it to Weights & Biases; if it fails, its run there ends as failed.

    Weights & Biases reads TensorBoard's events as they are written (``sync_tensorboard``). Environment variables such as
    ``WANDB_MODE=offline`` work as usual.

    Args:
        project: name of the project.
        config: the settings, checked before the run starts.
        folder: the run directory, which gives the run its name.

    Raises:
        MissingDependency: wandb is not installed.
        GanqIrlError: as ``run_experiment``.
    """
    wandb = needed("wandb", "wandb", "logging to Weights & Biases")
    from wandb.integration.sb3 import WandbCallback

    settings = dataclasses.asdict(check_config(config))
    # wandb must start before any TensorBoard writer is created, since it patches the writer
    try:
        run = wandb.init(project=project, name=folder.name, config=settings, sync_tensorboard=True)
    except wandb.errors.Error as error:
        raise ConfigurationError(
            f"Weights & Biases cannot begin the project {project!r} ({error}); set WANDB_MODE=offline to keep the run here"
        ) from error
    with run:
        result = run_experiment(config, folder, callback=WandbCallback())
        evaluation = result.evaluation
        run.summary.update({"final/mean_return": evaluation.mean_return, "final/normalized": evaluation.normalized})
    return result
