"""Checks shared by the readers of third-party files: memory limits and optional packages."""

from __future__ import annotations

import importlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from ganq_irl import budget
from ganq_irl.errors import DemoFormatError, MissingDependency
from ganq_irl.files import open_file
from ganq_irl_demos.trajectories import Trajectory, named_arrays

Block = dict[str, np.ndarray]

COPIES = 3
"""Copies of the rows that are in memory at once: decoded, joined as columns, and as episodes."""

MOST_COLUMNS = 1 << 14
"""Maximum number of columns of a table; the reading libraries need kilobytes for each."""

LARGEST_DIRECTORY = 1 << 22
"""Maximum size in bytes of a zip archive's directory, which takes at least fifty bytes per entry."""

_ZIP_END = (1 << 16) + 200  # bytes at the end of an archive that locate its directory; a comment may follow

ROW_BYTES = 64
"""Cost of a row beside its values in a pass over all rows: its episode number is kept, and it takes time."""


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
    current = budget.current()
    current.add_source(source)
    passed = 0
    for block in blocks:
        passed += ROW_BYTES * max(map(len, block.values()), default=0) + sum(array.nbytes for array in block.values())
        current.check_stream(passed, source)
        yield block


def counted_episodes(trajectories: Iterator[Trajectory], source: str) -> Iterator[Trajectory]:
    """Yield the episodes, as long as they are not larger than the files of their source can hold.

    Raises:
        ReadLimitExceeded: they are.
    """
    current = budget.current()
    current.add_source(source)
    passed = 0
    for trajectory in trajectories:
        arrays = (*named_arrays(trajectory.observations).values(), trajectory.actions)
        passed += ROW_BYTES * len(trajectory) + sum(array.nbytes for array in arrays)
        current.check_stream(passed, source)
        yield trajectory


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


def needed(module: str, extra: str, what: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: the module to import.
        extra: the extra of ganq-irl that installs it; "" if ganq-irl itself does.
        what: the feature that needs it, for the message.

    Raises:
        MissingDependency: the package is not installed, or incompatible with others; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        wanted = f"ganq-irl[{extra}]" if extra else package
        raise MissingDependency(
            f"{what} needs {package}, which cannot be imported here ({error}): pip install '{wanted}'"
        ) from error


def brief(error: BaseException) -> str:
    """Return the type and the first words of an error."""
    return f"{type(error).__name__}: {str(error)[:120]}"
