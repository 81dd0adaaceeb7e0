"""The log files of a run, continued from a checkpoint without repeated or missing rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import CSVOutputFormat, Logger, configure
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.files import cut_file
from ganq_irl.runs.checkpoints.files import PROGRESS, Checkpoint

_ITERATIONS = "time/iterations"


class RunLogger(Logger):
    """SB3 logger that continues the count of iterations in a resumed run.

    SB3's on-policy algorithms count iterations from 1 in each call of ``learn`` and log every n-th. In a resumed run this
    logger is therefore called at every iteration, and drops the rows that an uninterrupted run would not have.

    Args:
        logger: the logger whose outputs are used.
        before: iterations before this call of ``learn``.
    """

    def __init__(self, logger: Logger, before: int = 0) -> None:
        super().__init__(logger.dir, logger.output_formats)
        self.before = self._iteration = before
        self._every = 1

    def record(self, key: str, value: Any, exclude: str | tuple[str, ...] | None = None) -> None:
        """Record a value, adding the earlier iterations to their count."""
        if key == _ITERATIONS:
            self._iteration = value = value + self.before
        super().record(key, value, exclude)

    def dump(self, step: int = 0) -> None:
        """Write a row if one is due."""
        if self._iteration % self._every == 0:
            super().dump(step)

    def interval(self, model: BaseAlgorithm, learn: Callable[..., Any]) -> int:
        """Return the ``log_interval`` to pass to ``learn`` so that the rows are those of its default.

        Args:
            model: the SB3 algorithm.
            learn: its ``learn``, or that of the imitation algorithm that trains it.
        """
        default = inspect.signature(learn).parameters["log_interval"].default
        if not isinstance(model, OnPolicyAlgorithm):
            return default  # off-policy it counts episodes, which a checkpoint restores
        self._every = default
        return 1


def open_log(folder: Path, checkpoint: Checkpoint | None = None) -> RunLogger:
    """Open the logger to ``progress.csv`` and TensorBoard.

    Args:
        folder: the run directory.
        checkpoint: later rows and events are dropped, since they will be written again.
    """
    if checkpoint is None:
        return RunLogger(configure(str(folder), ["csv", "tensorboard"]))
    text = checkpoint.progress()
    _cut_events(folder, checkpoint.info.get("events", {}))
    (folder / PROGRESS).unlink(missing_ok=True)  # the logger creates a new file, whatever was there
    logger = configure(str(folder), ["csv", "tensorboard"])
    table = _csv(logger)
    table.keys = text.partition("\n")[0].split(",") if text else []
    table.file.write(text)
    table.file.flush()
    return RunLogger(logger, int(checkpoint.info.get("iterations", 0)))


def log_position(folder: Path, logger: Logger) -> tuple[bytes, dict[str, int]]:
    """Return the content of ``progress.csv`` and the sizes of TensorBoard's files."""
    table = _csv(logger)
    table.file.flush()
    events = {path.name: path.stat().st_size for path in sorted(folder.glob("events.out.tfevents.*"))}
    return (folder / PROGRESS).read_bytes(), events


def _cut_events(folder: Path, sizes: dict[str, Any]) -> None:
    """Cut TensorBoard's files to their sizes at the checkpoint, when every record was complete."""
    for path in folder.glob("events.out.tfevents.*"):
        size = sizes.get(path.name)
        if size is None:
            path.unlink()
        elif path.stat().st_size > size:
            cut_file(path, size)


def _csv(logger: Logger) -> CSVOutputFormat:
    return next(output for output in logger.output_formats if isinstance(output, CSVOutputFormat))
