"""Run commands of ``ganq-irl`` in separate processes with preloaded libraries, and measure them.

Processes are forked from this one and start with its memory: call ``preload`` first, and keep this one small.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ADDRESSES = 12_000_000_000
SECONDS = 900
"""Time limit after which a command counts as hanging. Most need a second of processor time, but the machine may be busy."""


@dataclass(frozen=True)
class Outcome:
    """Result of a command.

    Attributes:
        code: exit code, negative if a signal ended it; None after ``SECONDS``.
        seconds: processor time.
        peak: peak memory in bytes, including that of the forking process.
        output: printed text.
    """

    code: int | None
    seconds: float
    peak: int
    output: str


def preload() -> None:
    """Import all modules that commands may import."""
    import ganq_irl
    import ganq_irl_cli
    import ganq_irl_demos

    for package in (ganq_irl, ganq_irl_demos, ganq_irl_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # libraries that are not installed
                    importlib.import_module(module.name)
    for name in ("torch.utils.tensorboard", "matplotlib.pyplot", "h5py", "pyarrow.parquet", "minari", "datasets"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def run(arguments: tuple[object, ...], work: Path, home: Path, full: int | None = None) -> Outcome:
    """Run a command.

    Args:
        arguments: arguments of ``ganq-irl``.
        work: working directory.
        home: home directory.
        full: maximum size of a file in bytes, to simulate a full disk; unlimited by default.
    """

    def command() -> None:
        os.chdir(work)
        os.environ |= {"HOME": str(home), "COLUMNS": "200"}
        if full is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (full, full))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        sys.argv = ["ganq-irl", *map(str, arguments)]
        from ganq_irl_cli import main

        main()

    return forked(command)


def forked(action: Callable[[], object]) -> Outcome:
    """Call a function in a separate process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _become(action, writing)
    os.close(writing)
    os.set_blocking(reading, False)
    output, end = b"", time.monotonic() + SECONDS
    ended = 0
    while not ended and time.monotonic() < end:
        ended, status, used = os.wait4(child, os.WNOHANG)
        output += _printed(reading)
        time.sleep(0 if ended else 0.05)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    output += _printed(reading)
    os.close(reading)
    code = os.waitstatus_to_exitcode(status) if ended else None
    return Outcome(code, used.ru_utime + used.ru_stime, used.ru_maxrss << 10, output.decode(errors="replace"))


def _printed(descriptor: int) -> bytes:
    found = b""
    try:
        while piece := os.read(descriptor, 1 << 16):
            found += piece
    except BlockingIOError:
        pass
    return found


def _become(action: Callable[[], object], writing: int) -> None:
    """Run a function instead of the rest of this process."""
    code: object = 1
    try:
        for number in (1, 2):
            os.dup2(writing, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2))
        action()
        code = 0
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 1)
