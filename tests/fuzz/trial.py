"""One trial: a valid sample is damaged and read; an error of ours or nothing comes of it, in time and in little memory."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganq_irl.errors import GanqIrlError
from ganq_irl_demos import FORMATS
from tests.fuzz.choices import Choices
from tests.fuzz.damage import damaged
from tests.fuzz.readers import READERS, Reader

MAX_MEMORY = 1 << 30
MAX_SECONDS = 10
"""Of the processor, so that a busy machine finds no more than an idle one."""
ADDRESSES = 6 << 30
"""Of address space beyond what is there already: maps and arenas count as well, so that it is more than ``MAX_MEMORY``."""


class TookTooLong(BaseException):
    """The reader did not come back; no Exception, so that no reader can take it for damage."""


class TookTooMuch(AssertionError):
    """The reader used more memory than it may."""


def samples(name: str, folder: Path) -> list[Path]:
    """Valid files or folders for a reader, which itself finds nothing wrong with them."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        READERS[name].write(folder)
    valid = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in valid:
        for known in FORMATS.values():  # imports what readers import when they are used: that is no part of a trial
            known.recognize(path)
        with contextlib.suppress(GanqIrlError):
            READERS[name].read(path)
    return valid


def attempt(name: str, valid: list[Path], data: bytes, scratch: Path) -> str:
    """Damage one of the samples as ``data`` says, and read it.

    Returns:
        The error of ours that it raised, or "".

    Raises:
        Exception: whatever else the reader raised: a finding.
    """
    reader, choices = READERS[name], Choices(data)
    path = _damaged_copy(reader, choices.of(valid), choices, scratch)
    try:
        with _bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except GanqIrlError as error:
        if isinstance(error.__cause__, MemoryError):
            raise TookTooMuch(f"it tried to: {error}") from error
        return f"{type(error).__name__}: {error}"
    return ""


def _damaged_copy(reader: Reader, sample: Path, choices: Choices, scratch: Path) -> Path:
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    path = scratch / sample.name
    (shutil.copytree if sample.is_dir() else shutil.copyfile)(sample, path)
    files = sorted(one for one in path.rglob("*") if one.is_file() and one.stat().st_size) if path.is_dir() else [path]
    is_sealed = choices.below(4)
    for _ in range(1 + choices.below(2)):
        file = choices.of(files)
        file.write_bytes(damaged(file.read_bytes(), choices, file.name))
    if is_sealed:
        reader.seal(path)
    return path


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + ADDRESSES, hard))
    previous = signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        if (used := _status("VmHWM") - before) > MAX_MEMORY:
            raise TookTooMuch(f"{used >> 20} MiB")


def _status(key: str) -> int:
    """Bytes, as the kernel counts them."""
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise KeyError(key)


def _late(_signal: int, _frame: Any) -> None:
    raise TookTooLong(f"more than {MAX_SECONDS} s")
