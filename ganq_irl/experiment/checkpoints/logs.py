"""The files of a run's log, continued where a checkpoint was made: no row twice, and none missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import CSVOutputFormat, Logger, configure

from ganq_irl.errors import StorageError
from ganq_irl.experiment.checkpoints.files import PROGRESS, Checkpoint
from ganq_irl.files import cut_file

_ITERATIONS = "time/iterations"


class RunLogger(Logger):
    """SB3's logger, in whose rows the iterations of a resumed run go on from those before.

    SB3's on-policy algorithms count them in a local variable of ``learn``, from 1 at each call.

    Args:
        logger: whose outputs it writes to.
        before: iterations before this call of ``learn``.
    """

    def __init__(self, logger: Logger, before: int = 0) -> None:
        super().__init__(logger.dir, logger.output_formats)
        self.before = before

    def record(self, key: str, value: Any, exclude: str | tuple[str, ...] | None = None) -> None:
        """As SB3's."""
        if key == _ITERATIONS:
            value += self.before
        super().record(key, value, exclude)

    def interval(self, learn: Callable[..., Any]) -> int:
        """The ``log_interval`` that a ``learn`` has by default, in step with the iterations before it."""
        return _Interval(inspect.signature(learn).parameters["log_interval"].default, self.before)


class _Interval(int):
    """``iteration % interval`` as if iterations had been counted from the run's beginning."""

    before: int

    def __new__(cls, value: int, before: int) -> _Interval:
        interval = super().__new__(cls, value)
        interval.before = before
        return interval

    def __rmod__(self, iteration: int) -> int:  # Python asks it before int's own, of which it is a subclass
        return (iteration + self.before) % int(self)


def open_log(folder: Path, checkpoint: Checkpoint | None = None) -> RunLogger:
    """SB3's logger to ``progress.csv`` and TensorBoard events.

    Args:
        folder: the run directory.
        checkpoint: rows and events after it are dropped, since they will be written again.
    """
    if checkpoint is None:
        return RunLogger(configure(str(folder), ["csv", "tensorboard"]))
    try:
        text = checkpoint.progress().decode()
    except UnicodeDecodeError as error:
        raise StorageError(f"{checkpoint.folder / PROGRESS} is no text: {error}") from error
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
