"""The warnings of a run, so that ``run.json`` can tell them to whoever was not there."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOGGERS = ("ganq_irl", "ganq_irl_demos")
_MOST = 200
"""Warnings that are kept; a library may have one for every step."""


class KeptWarnings(logging.Handler):
    """Warnings in the order in which they came.

    Attributes:
        entries: ``message``, ``step`` (None before training begins) and ``category`` of each.
        step: tells how far training is.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.entries: list[dict[str, Any]] = []
        self.step: Callable[[], int | None] = lambda: None

    def add(self, message: str, category: str) -> None:
        """Keep a warning."""
        if len(self.entries) < _MOST:
            self.entries.append({"message": message, "step": self.step(), "category": category})

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record of ``logging``, and let it reach the user as if this handler were not there."""
        self.add(record.getMessage(), getattr(record, "category", record.name.rpartition(".")[2]))
        others = [handler for name in ("", *_LOGGERS) for handler in logging.getLogger(name).handlers if handler is not self]
        if not others and logging.lastResort is not None:
            logging.lastResort.handle(record)


@contextmanager
def keeping_warnings() -> Iterator[KeptWarnings]:
    """Keep what is warned of meanwhile, by ``logging`` and by ``warnings``; it is shown as ever."""
    kept = KeptWarnings()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def keep(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            kept.add(str(message), category.__name__)
            show(message, category, *place, **more)

        warnings.showwarning = keep
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(kept)
        try:
            yield kept
        finally:
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(kept)
