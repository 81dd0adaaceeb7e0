"""The files of a run's log, continued where a checkpoint was made: no row twice, and none missing."""

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
    """SB3's logger, in whose rows the iterations of a resumed run go on from those before.

    SB3's on-policy algorithms count them in a local variable of ``learn``, from 1 at each call, and ask for a row at every
    n-th. A resumed run is therefore asked for every row, and leaves out those that an unbroken one would not have.

    Args:
        logger: whose outputs it writes to.
        before: iterations before this call of ``learn``.
    """

    def __init__(self, logger: Logger, before: int = 0) -> None:
        super().__init__(logger.dir, logger.output_formats)
        self.before = self._iteration = before
        self._every = 1

    def record(self, key: str, value: Any, exclude: str | tuple[str, ...] | None = None) -> None:
        """As SB3's."""
        if key == _ITERATIONS:
            self._iteration = value = value + self.before
        super().record(key, value, exclude)

    def dump(self, step: int = 0) -> None:
        """As SB3's, where a row is due."""
        if self._iteration % self._every == 0:
            super().dump(step)

    def interval(self, model: BaseAlgorithm, learn: Callable[..., Any]) -> int:
        """The ``log_interval`` to give to a model's ``learn`` for the rows that it would have by default.

        Args:
            model: the SB3 algorithm.
            learn: its own, or that of the imitation algorithm around it.
        """
        default = inspect.signature(learn).parameters["log_interval"].default
        if not isinstance(model, OnPolicyAlgorithm):
            return default  # off-policy it is counted in episodes, which a checkpoint restores
        self._every = default
        return 1


def open_log(folder: Path, checkpoint: Checkpoint | None = None) -> RunLogger:
    """SB3's logger to ``progress.csv`` and TensorBoard events.

    Args:
        folder: the run directory.
        checkpoint: rows and events after it are dropped, since they will be written again.
    """
    if checkpoint is None:
        return RunLogger(configure(str(folder), ["csv", "tensorboard"]))
    text = checkpoint.progress()
    _cut_events(folder, checkpoint.info.get("events", {}))
    (folder / PROGRESS).unlink(missing_ok=True)  # the logger makes a new one, whatever lay there
    logger = configure(str(folder), ["csv", "tensorboard"])
    table = _csv(logger)
    table.keys = text.partition("\n")[0].split(",") if text else []
    table.file.write(text)
    table.file.flush()
    return RunLogger(logger, int(checkpoint.info.get("iterations", 0)))


def log_position(folder: Path, logger: Logger) -> tuple[bytes, dict[str, int]]:
    """``progress.csv`` as it is, and the sizes of TensorBoard's files."""
    table = _csv(logger)
    table.file.flush()
    events = {path.name: path.stat().st_size for path in sorted(folder.glob("events.out.tfevents.*"))}
    return (folder / PROGRESS).read_bytes(), events


def _cut_events(folder: Path, sizes: dict[str, Any]) -> None:
    """Cut TensorBoard's files where they were; each of its records was whole then."""
    for path in folder.glob("events.out.tfevents.*"):
        size = sizes.get(path.name)
        if size is None:
            path.unlink()
        elif path.stat().st_size > size:
            cut_file(path, size)


def _csv(logger: Logger) -> CSVOutputFormat:
    return next(output for output in logger.output_formats if isinstance(output, CSVOutputFormat))
