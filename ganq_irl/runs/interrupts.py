"""Turn Ctrl-C, SIGTERM and SIGHUP into a request to stop at the next point where a checkpoint can be saved."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any, Self

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""SIGHUP arrives when a terminal closes, for example that of an SSH session; Windows has none."""

_log = logging.getLogger(__name__)

_ONE_REQUEST = 0.5
"""Seconds in which several signals count as one, since a process often gets one from its group and one from its parent."""


class Interrupted(KeyboardInterrupt):
    """Training stopped on request after saving a checkpoint; the message says where."""


class Interrupts:
    """Context manager that records the first signal; a second one interrupts at once.

    It acts in the main thread only. Signals that the process was started to ignore, as with nohup, stay ignored. A second
    SIGHUP changes nothing.

    Attributes:
        requested: name of the first signal, or None.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._requested_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Install the signal handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous signal handlers."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def _note(self, number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        if self.requested is not None:
            # a closing terminal sends SIGHUP, and its shell sends another
            if name == "SIGHUP" or time.monotonic() - self._requested_at < _ONE_REQUEST:
                return
            raise KeyboardInterrupt(f"interrupted at once by a second {name}")
        self.requested, self._requested_at = name, time.monotonic()
        _log.warning("%s: writing a checkpoint at the end of this rollout, then stopping; again to stop at once", name)
