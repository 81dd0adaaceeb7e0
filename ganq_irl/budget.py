"""Limit the memory that all files read by one command may take together.

A small file can unpack to any size: zeros compress a thousandfold, a fill value takes no space, and a hundred episodes can
be the same one. Every reader therefore asks the command's budget before it allocates memory. The budget counts arrays for
as long as they live, and the additional memory that the next step needs, including copies.

Unless the user sets a limit, the data may take ``FREE`` bytes, or ``RATIO`` times the size of the files if that is more,
but never more than ``LIMIT``. Floats rarely compress to less than half and game images to less than a thirtieth, so a ratio
of 100 leaves room for genuine data. ``LIMIT`` fits a laptop. Store larger datasets in an uncompressed ``.npz``: it is
memory-mapped and not counted.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganq_irl.errors import ConfigurationError, ReadLimitExceeded

if TYPE_CHECKING:
    import numpy as np

LIMIT = 4 << 30
FREE = 256 << 20
RATIO = 100

FLAG, VARIABLE = "--read-limit", "GANQ_IRL_READ_LIMIT"

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Budget:
    """Counts bytes in memory and the files that they came from.

    Args:
        limit: maximum number of bytes, whatever the size of the files; None for the rule of this module.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.given = limit
        self.taken = 0
        self._files: dict[object, int] = {}  # a file counts once, whatever its name
        self._sources: set[str] = set()
        self._held: dict[int, weakref.ref[object]] = {}

    @property
    def packed(self) -> int:
        """Size of the files that were read, in bytes."""
        return sum(self._files.values())

    @property
    def limit(self) -> int:
        """Maximum number of bytes in memory."""
        return self.given if self.given is not None else min(LIMIT, max(FREE, RATIO * self.packed))

    def add_source(self, source: str | os.PathLike[str]) -> None:
        """Add the size of a file, or of all files in a folder. Anything else counts as 0."""
        name = os.fspath(source)
        if name in self._sources:
            return
        self._sources.add(name)
        with contextlib.suppress(OSError, ValueError):  # opening it raises the error
            path = Path(name)
            for file in path.rglob("*") if path.is_dir() else (path,):
                found = file.stat()
                self._files[found.st_dev, found.st_ino] = found.st_size if file.is_file() else 0

    def check(self, size: int, source: object) -> None:
        """Check that ``size`` more bytes may be allocated.

        Raises:
            ReadLimitExceeded: they may not; the message names the source, the limit, and how to raise it.
        """
        if self.taken + size > self.limit:
            raise self._exceeded(size, self.limit, source)

    def check_stream(self, size: int, source: object) -> None:
        """Check that a file read in pieces has not produced more bytes than its size can explain.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        limit = max(FREE, RATIO * self.packed) if self.given is None else self.given
        if size > limit and (self.given is None or size > RATIO * self.packed):
            raise self._exceeded(size, limit, source)

    def take(self, size: int, source: object) -> None:
        """Count ``size`` bytes permanently.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        self.check(size, source)
        self.taken += size

    def hold(self, arrays: Iterable[np.ndarray], source: object) -> None:
        """Count the memory of arrays for as long as it lives. Views and memory-mapped files cost nothing.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        for array in arrays:
            owner = _owner(array)
            if owner is not None:
                self.hold_object(owner, owner.nbytes, source)

    def hold_object(self, thing: object, size: int, source: object) -> None:
        """Count ``size`` bytes once, for as long as an object lives.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        if id(thing) not in self._held:
            self.take(size, source)
            self._held[id(thing)] = weakref.ref(thing, partial(self._let_go, id(thing), size))

    def _let_go(self, key: int, size: int, _: object) -> None:
        del self._held[key]
        self.taken -= size

    def _exceeded(self, size: int, limit: int, source: object) -> ReadLimitExceeded:
        rule = "" if self.given is not None else f" from {in_words(self.packed)} of files"
        before = f" besides {in_words(self.taken)} read before" if self.taken > FREE // 100 else ""
        gib = -(-(self.taken + size) >> 29)  # twice the known need
        wanted = f"{max(1, gib)}G"
        return ReadLimitExceeded(
            f"{source} would unpack to {in_words(size)} of memory{before}, more than the {in_words(limit)} that one command "
            f"may read{rule}; if you trust it, allow more with `ganq-irl {FLAG} {wanted} ...` or {VARIABLE}={wanted}"
        )


def _owner(array: np.ndarray) -> np.ndarray | None:
    """Return the array that owns a view's memory, or None if it is mapped from a file."""
    import numpy as np

    while isinstance(array.base, np.ndarray):
        array = array.base
    return None if isinstance(array, np.memmap) else array


_current: ContextVar[Budget | None] = ContextVar("ganq_irl_budget", default=None)


def current() -> Budget:
    """Return the budget of the current command, or a new one."""
    return _current.get() or Budget(_from_environment())


@contextlib.contextmanager
def _in_force(budget: Budget) -> Iterator[Budget]:
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def convert(array: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Return an array in another dtype. While files are read, the budget counts the copy for as long as it lives.

    Raises:
        ReadLimitExceeded: the copy exceeds the budget.
    """
    import numpy as np

    budget = _current.get()
    if budget is None:
        return array.astype(dtype)
    source = f"an array of {array.dtype} as {np.dtype(dtype)}"
    budget.check(array.size * np.dtype(dtype).itemsize, source)
    converted = array.astype(dtype)
    budget.hold([converted], source)
    return converted


def shared() -> contextlib.AbstractContextManager[Budget]:
    """Return a context in which all reads share one budget: that of the command, or a new one."""
    return _in_force(current())


def unlimited() -> contextlib.AbstractContextManager[Budget]:
    """Return a context without a limit, for objects that are already in memory."""
    return _in_force(Budget(sys.maxsize))


@contextlib.contextmanager
def read_limit(limit: int | str | None = None) -> Iterator[Budget]:
    """Start a new budget for all reads inside, also by child processes.

    Args:
        limit: bytes, or text such as ``"32G"``; None for ``GANQ_IRL_READ_LIMIT`` or the default rule.

    Raises:
        ConfigurationError: the limit is not a number of bytes.

    Example:
        >>> with read_limit("2G") as budget:
        ...     demos = load_demonstrations("cartpole")
        >>> budget.limit == 2 * 2**30
        True
    """
    before = os.environ.get(VARIABLE)
    size = _from_environment() if limit is None else parse_size(limit)
    if limit is not None:
        os.environ[VARIABLE] = str(size)
    try:
        with _in_force(Budget(size)) as budget:
            yield budget
    finally:
        if limit is not None:
            os.environ.pop(VARIABLE)
            os.environ.update({} if before is None else {VARIABLE: before})


def parse_size(text: int | str) -> int:
    """Return the number of bytes given by a number or text.

    >>> parse_size("32G") == 32 * 2**30
    True

    Raises:
        ConfigurationError: it is not a number of bytes.
    """
    match = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", str(text).strip(), re.IGNORECASE)
    if match is None:
        raise ConfigurationError(f"given a limit of {str(text)[:40]!r}; expected a number of bytes, such as 32G or 500M")
    return int(match[1]) * _UNITS[match[2].upper()]


def in_words(size: int) -> str:
    """Format a number of bytes for people.

    >>> in_words(3 * 2**29)
    '1.5 GiB'
    """
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}" if value < 1e6 else f"{value:.1e} {unit}"


def _from_environment() -> int | None:
    text = os.environ.get(VARIABLE)
    return parse_size(text) if text else None
