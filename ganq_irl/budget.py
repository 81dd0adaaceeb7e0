"""How much memory the files that one command reads may take together.

A small file can unpack to any size: zeros compress a thousandfold, a fill value takes no room at all, and a hundred episodes
can be one and the same. So every reader asks the budget of the command before it allocates. The budget counts arrays for as
long as they live, and the room that the next step needs besides them, copies included.

Unless the user sets a limit, what is read may take ``FREE`` bytes, or ``RATIO`` times the size of the files where that is
more, but never more than ``LIMIT``. Floats seldom compress to less than half and images of games to less than a thirtieth,
so a ratio of 100 leaves room for genuine data. ``LIMIT`` is what a laptop can spare. Larger sets belong in an ``.npz`` that
is not compressed: it is mapped from the disk, and not counted.
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
    """Bytes that are taken, and the files that they came from.

    Args:
        limit: bytes that may be taken, whatever the size of the files; None for the rule of this module.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.given = limit
        self.taken = 0
        self._files: dict[object, int] = {}  # the same file counts once, under whatever name
        self._sources: set[str] = set()
        self._held: dict[int, weakref.ref[object]] = {}

    @property
    def packed(self) -> int:
        """Bytes of the files that were read."""
        return sum(self._files.values())

    @property
    def limit(self) -> int:
        """Bytes that may be taken."""
        return self.given if self.given is not None else min(LIMIT, max(FREE, RATIO * self.packed))

    def add_source(self, source: str | os.PathLike[str]) -> None:
        """Count the size of a file, or of all files in a folder; anything else counts nothing."""
        name = os.fspath(source)
        if name in self._sources:
            return
        self._sources.add(name)
        with contextlib.suppress(OSError, ValueError):  # whoever opens it says so
            path = Path(name)
            for file in path.rglob("*") if path.is_dir() else (path,):
                found = file.stat()
                self._files[found.st_dev, found.st_ino] = found.st_size if file.is_file() else 0

    def check(self, size: int, source: object) -> None:
        """Raise unless ``size`` bytes may be allocated besides those that are taken.

        Raises:
            ReadLimitExceeded: naming the source, the limit, and how to raise it.
        """
        if self.taken + size > self.limit:
            raise self._exceeded(size, self.limit, source)

    def check_stream(self, size: int, source: object) -> None:
        """Raise where a file that is read piece by piece has given more bytes than its size can explain.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        limit = max(FREE, RATIO * self.packed) if self.given is None else self.given
        if size > limit and (self.given is None or size > RATIO * self.packed):
            raise self._exceeded(size, limit, source)

    def take(self, size: int, source: object) -> None:
        """Count ``size`` bytes for good.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        self.check(size, source)
        self.taken += size

    def hold(self, arrays: Iterable[np.ndarray], source: object) -> None:
        """Count the memory behind arrays for as long as it lives; views of one array and maps of files cost nothing more.

        Raises:
            ReadLimitExceeded: as ``check``.
        """
        for array in arrays:
            owner = _owner(array)
            if owner is not None:
                self.hold_object(owner, owner.nbytes, source)

    def hold_object(self, thing: object, size: int, source: object) -> None:
        """Count ``size`` bytes, once, for as long as an object lives.

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
        gib = -(-(self.taken + size) >> 29)  # twice of what is known to be needed
        wanted = f"{max(1, gib)}G"
        return ReadLimitExceeded(
            f"{source} would unpack to {in_words(size)} of memory{before}, more than the {in_words(limit)} that one command "
            f"may read{rule}; if you trust it, allow more with `ganq-irl {FLAG} {wanted} ...` or {VARIABLE}={wanted}"
        )


def _owner(array: np.ndarray) -> np.ndarray | None:
    """The array that a view is a view of; None where it is mapped from a file."""
    import numpy as np

    while isinstance(array.base, np.ndarray):
        array = array.base
    return None if isinstance(array, np.memmap) else array


_current: ContextVar[Budget | None] = ContextVar("ganq_irl_budget", default=None)


def current() -> Budget:
    """The budget of the command; outside of one, a new budget."""
    return _current.get() or Budget(_from_environment())


@contextlib.contextmanager
def _in_force(budget: Budget) -> Iterator[Budget]:
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def convert(array: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Return an array in another dtype. While files are read, the copy counts for as long as it lives.

    Raises:
        ReadLimitExceeded: there is no room for the copy.
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
    """Let everything that is read inside share one budget: that of the command, or outside of one a new one."""
    return _in_force(current())


def unlimited() -> contextlib.AbstractContextManager[Budget]:
    """Lift the limit inside, for objects that are in memory already."""
    return _in_force(Budget(sys.maxsize))


@contextlib.contextmanager
def read_limit(limit: int | str | None = None) -> Iterator[Budget]:
    """Begin a new budget, for everything that is read inside, also by processes that are started there.

    Args:
        limit: bytes, or text such as ``"32G"``; None leaves ``GANQ_IRL_READ_LIMIT`` in force, or the default rule.

    Raises:
        ConfigurationError: the limit is no number of bytes.
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
    """Bytes from a number or a text.

    >>> parse_size("32G") == 32 * 2**30
    True

    Raises:
        ConfigurationError: it is neither.
    """
    match = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", str(text).strip(), re.IGNORECASE)
    if match is None:
        raise ConfigurationError(f"a limit of {str(text)[:40]!r}: expected a number of bytes, such as 32G or 500M")
    return int(match[1]) * _UNITS[match[2].upper()]


def in_words(size: int) -> str:
    """Bytes as a person reads them.

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
