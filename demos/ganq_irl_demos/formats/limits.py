"""Checks shared by the readers of third-party files: memory limits, damage, and optional packages."""

from __future__ import annotations

import contextlib
import os
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ganq_irl import budget
from ganq_irl.errors import (
    ConfigurationError,
    DemoFormatError,
    MissingDependency,
    ReadLimitExceeded,
    StorageError,
)
from ganq_irl.files import open_file, read_json
from ganq_irl.parsing import parse_json
from ganq_irl_demos.trajectories import Trajectory, named_arrays

Block = dict[str, np.ndarray]
Item = TypeVar("Item")

COPIES = 3
"""Copies of the rows that are in memory at once: decoded, joined as columns, and as episodes."""

MOST_COLUMNS = 1 << 14
"""Maximum number of columns of a table; the reading libraries need kilobytes for each."""

LARGEST_DIRECTORY = 1 << 22
"""Maximum size in bytes of a zip archive's directory, which takes at least fifty bytes per entry."""

_ZIP_END = (1 << 16) + 200  # bytes at the end of an archive that locate its directory; a comment may follow

ROW_BYTES = 64
"""Cost of a row beside its values in a pass over all rows: its episode number is kept, and it takes time."""


LARGEST_DESCRIPTION = 256 << 20
"""Maximum size in bytes of the JSON file that describes a dataset."""

UNREADABLE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # also encrypted entries; NotImplementedError: unknown compression; RecursionError
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy, zipfile, h5py and Minari raise for damaged files."""


@contextlib.contextmanager
def reading(source: Path | str, problem: str = "is truncated or altered") -> Iterator[None]:
    """Turn what a library raises for a damaged file into an error that says what to do.

    Raises:
        DemoFormatError: the file is damaged.
    """
    try:
        yield
    except (DemoFormatError, ConfigurationError, MissingDependency):
        raise
    except (*UNREADABLE, *_arrow_errors()) as error:
        raise DemoFormatError(f"{source} {problem} ({brief(error)}); copy or write it again") from error


def _arrow_errors() -> tuple[type[Exception], ...]:
    """Return the base class of pyarrow's errors; none if it was not imported, and so read nothing."""
    return (sys.modules["pyarrow"].ArrowException,) if "pyarrow" in sys.modules else ()


def beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a file; none of a folder or a missing file."""
    if not path.is_file():
        return b""
    with open(path, "rb") as file:
        return file.read(size)


def read_description(path: Path) -> dict[str, Any]:
    """Read the JSON file that describes a dataset.

    Raises:
        DemoFormatError: it is missing, too large, or not a JSON object.
    """
    try:
        description = read_json(path, LARGEST_DESCRIPTION)
    except ReadLimitExceeded:
        raise
    except StorageError as error:
        raise DemoFormatError(f"{error}; copy the dataset again") from error
    if not isinstance(description, dict):
        raise DemoFormatError(f"{path} holds no JSON object; was it made by another program?")
    return description


def env_id_in(description: Any, key: str) -> str | None:
    """Return the ID in the JSON that describes an environment, or None. The environment is never made.

    Raises:
        ReadLimitExceeded: the description is too large.
    """
    try:
        name = parse_json(description or "{}", "the description of the environment").get(key)
    except ReadLimitExceeded:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def check_size(path: Path, declared: int) -> None:
    """Raise unless the command's memory budget has room for ``declared`` bytes of values that are packed in a file.

    Raises:
        ReadLimitExceeded: there is no room; the message says how to raise the limit.
    """
    current = budget.current()
    current.add_source(path)
    current.check(declared, path)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive after checking the size of its directory.

    Raises:
        DemoFormatError: the directory is larger than ``LARGEST_DIRECTORY``.
        zipfile.BadZipFile: the file is not a zip archive.
        OSError: the file cannot be read.
    """
    with open_file(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _ZIP_END))
        end = file.read()
    listed = 0  # a file too short to have a directory has none
    if (start := end.rfind(b"PK\x05\x06")) >= 0:
        listed = int.from_bytes(end[start + 12 : start + 16], "little")
    if listed == 2**32 - 1 and (start := end.rfind(b"PK\x06\x06")) >= 0:  # Zip64 stores the size in 64 bits
        listed = int.from_bytes(end[start + 40 : start + 48], "little")
    if listed > LARGEST_DIRECTORY:
        raise DemoFormatError(
            f"{path} has a directory of {budget.in_words(listed)}, more than {budget.in_words(LARGEST_DIRECTORY)}; save its "
            "content as fewer arrays"
        )
    return zipfile.ZipFile(path)


def check_zip(archive: zipfile.ZipFile, path: Path, unpacking: Sequence[zipfile.ZipInfo]) -> None:
    """Raise unless the budget has room for the entries of a zip archive and a copy of the largest one.

    Raises:
        DemoFormatError: entries overlap, so that a small file could unpack to any size.
        ReadLimitExceeded: there is not enough room.
    """
    if sum(info.compress_size for info in archive.infolist()) > path.stat().st_size:
        raise DemoFormatError(f"{path} was altered: entries of the archive overlap; copy it again or delete it")
    sizes = [info.file_size for info in unpacking]
    check_size(path, sum(sizes) + max(sizes, default=0))


def check_columns(count: int, source: str) -> None:
    """Raise if a table has more than ``MOST_COLUMNS`` columns.

    Raises:
        DemoFormatError: it does.
    """
    if count > MOST_COLUMNS:
        raise DemoFormatError(
            f"{source} has {count} columns, more than {MOST_COLUMNS}; store images and other arrays as npz or parquet"
        )


def counted(blocks: Iterator[Block], source: str) -> Iterator[Block]:
    """Yield the blocks of rows, as long as they are not larger than the files of their source can hold.

    Raises:
        ReadLimitExceeded: they are.
    """
    return _counted(blocks, lambda block: (max(map(len, block.values()), default=0), block.values()), source)


def counted_episodes(trajectories: Iterator[Trajectory], source: str) -> Iterator[Trajectory]:
    """Yield the episodes, as long as they are not larger than the files of their source can hold.

    Raises:
        ReadLimitExceeded: they are.
    """
    return _counted(trajectories, lambda one: (len(one), [*named_arrays(one.observations).values(), one.actions]), source)


def _counted(
    items: Iterator[Item], content: Callable[[Item], tuple[int, Iterable[np.ndarray]]], source: str
) -> Iterator[Item]:
    """Yield items, given their number of rows and their arrays."""
    current = budget.current()
    current.add_source(source)
    passed = 0
    for item in items:
        rows, arrays = content(item)
        passed += ROW_BYTES * rows + sum(array.nbytes for array in arrays)
        current.check_stream(passed, source)
        yield item


def joined(
    blocks: Iterator[Block], cut: Callable[[Iterator[Block]], Iterator[Trajectory]], source: str
) -> Iterator[Trajectory]:
    """Yield the episodes that ``cut`` makes of blocks of rows, while the budget has room for the blocks not yet joined.

    Raises:
        ReadLimitExceeded: an episode is too large.
    """
    current = budget.current()
    current.add_source(source)
    last = waiting = 0

    def held() -> Iterator[Block]:
        nonlocal last, waiting
        for block in blocks:
            last = sum(array.nbytes for array in block.values())
            waiting += last
            current.hold(block.values(), source)
            current.check((COPIES - 1) * waiting, source)
            yield block

    for trajectory in cut(held()):
        waiting = last  # the earlier blocks have become an episode
        yield trajectory


def brief(error: BaseException) -> str:
    """Return the type and the first words of an error."""
    return f"{type(error).__name__}: {str(error)[:120]}"
