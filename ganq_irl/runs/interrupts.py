"""Ctrl-C, SIGTERM and SIGHUP as a request to stop at the next moment at which a checkpoint can be made."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any, Self

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""SIGHUP comes when a terminal closes, such as that of an SSH session; Windows has none."""

_log = logging.getLogger(__name__)

_ONE_REQUEST = 0.5
"""Seconds in which several signals count as one: a stop often reaches a process twice, through its group and its parent."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and did so in order; the message says where it left off."""


class Interrupts:
    """While it is entered, in the main thread, the first signal is noted and a second one interrupts at once.

    A signal that whoever started the process has it ignore stays ignored, as with nohup. A second SIGHUP changes nothing.

    Attributes:
        requested: name of the signal that was noted, or None.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self._requested_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Begin to note signals."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def _note(self, number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        if self.requested is not None:
            # A terminal that closes sends SIGHUP, and its shell once more.
            if name == "SIGHUP" or time.monotonic() - self._requested_at < _ONE_REQUEST:
                return
            raise KeyboardInterrupt(f"interrupted at once by a second {name}")
        self.requested, self._requested_at = name, time.monotonic()
        _log.warning("%s: writing a checkpoint at the end of this rollout, then stopping; again to stop at once", name)
