"""Collect the warnings of a run, for ``run.json``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOGGERS = ("ganq_irl", "ganq_irl_demos")
_MAX_ENTRIES = 200
"""A library may warn at every step."""


class WarningLog(logging.Handler):
    """Log handler that collects warnings.

    Attributes:
        entries: the warnings in order, each with ``message``, ``step`` (None before training begins) and ``category``.
        step: returns the current step of training.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.entries: list[dict[str, Any]] = []
        self.step: Callable[[], int | None] = lambda: None

    def add(self, message: str, category: str) -> None:
        """Add a warning."""
        if len(self.entries) < _MAX_ENTRIES:
            self.entries.append({"message": message, "step": self.step(), "category": category})

    def emit(self, record: logging.LogRecord) -> None:
        """Add a log record, and still show it to the user if no other handler does."""
        self.add(record.getMessage(), getattr(record, "category", record.name.rpartition(".")[2]))
        others = [handler for name in ("", *_LOGGERS) for handler in logging.getLogger(name).handlers if handler is not self]
        if not others and logging.lastResort is not None:
            logging.lastResort.handle(record)


@contextmanager
def logging_warnings() -> Iterator[WarningLog]:
    """Collect the warnings of ``logging`` and ``warnings`` in the block; they are shown as usual."""
    log = WarningLog()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def add(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            log.add(str(message), category.__name__)
            show(message, category, *place, **more)

        warnings.showwarning = add
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(log)
        try:
            yield log
        finally:
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(log)
