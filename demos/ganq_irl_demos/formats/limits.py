"""What every reader of foreign files asks: is there room for what it unpacks to, and which package does it need."""

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
"""Times that rows lie in memory at once: as they are decoded, as columns are joined, and as they become episodes."""

MOST_COLUMNS = 1 << 14
"""Columns of a table; the libraries that read one take kilobytes for each."""

LARGEST_DIRECTORY = 1 << 22
"""Bytes of the list of a zip archive's entries, of which each takes fifty or more."""

_ZIP_END = (1 << 16) + 200  # bytes at the end of an archive that say where its list is: a comment may follow them

ROW_BYTES = 64
"""What a row counts beside its values in a pass over all of them: the number of its episode is kept, and it takes time."""


def check_size(path: Path, declared: int) -> None:
    """Raise unless the budget of the command has room for ``declared`` bytes of values that lie packed in a file.

    Raises:
        ReadLimitExceeded: naming the file, the limit, and how to raise it.
    """
    current = budget.current()
    current.add_source(path)
    current.check(declared, path)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive, once the list of its entries has shown that it may be parsed.

    Raises:
        DemoFormatError: the list is longer than ``LARGEST_DIRECTORY``.
        zipfile.BadZipFile: it is no zip archive.
        OSError: it cannot be read.
    """
    with open_file(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _ZIP_END))
        end = file.read()
    listed = 0  # what is too short for a list is none
    if (start := end.rfind(b"PK\x05\x06")) >= 0:
        listed = int.from_bytes(end[start + 12 : start + 16], "little")
    if listed == 2**32 - 1 and (start := end.rfind(b"PK\x06\x06")) >= 0:  # of Zip64, which has 64 bits for it
        listed = int.from_bytes(end[start + 40 : start + 48], "little")
    if listed > LARGEST_DIRECTORY:
        raise DemoFormatError(
            f"{path} lists its entries in {budget.in_words(listed)}, more than {budget.in_words(LARGEST_DIRECTORY)}; save "
            "what it holds as fewer arrays"
        )
    return zipfile.ZipFile(path)


def check_zip(archive: zipfile.ZipFile, path: Path, unpacking: Sequence[zipfile.ZipInfo]) -> None:
    """Raise unless the budget has room for entries of a zip archive and for a copy of the largest.

    Raises:
        DemoFormatError: entries share their bytes, so that one may be there any number of times.
        ReadLimitExceeded: there is no room.
    """
    if sum(info.compress_size for info in archive.infolist()) > path.stat().st_size:
        raise DemoFormatError(f"{path} was altered: entries of the archive overlap; copy it again, or remove it")
    sizes = [info.file_size for info in unpacking]
    check_size(path, sum(sizes) + max(sizes, default=0))


def check_columns(count: int, source: str) -> None:
    """Raise where a table has more columns than anyone looks through.

    Raises:
        DemoFormatError: it has.
    """
    if count > MOST_COLUMNS:
        raise DemoFormatError(
            f"{source} has {count} columns, more than {MOST_COLUMNS}; write images and the like as arrays, to npz or parquet"
        )


def counted(blocks: Iterator[Block], source: str) -> Iterator[Block]:
    """The same blocks of rows, as long as they are no more than the files of their source can hold.

    Raises:
        ReadLimitExceeded: there are more.
    """
    current = budget.current()
    current.add_source(source)
    passed = 0
    for block in blocks:
        passed += ROW_BYTES * max(map(len, block.values()), default=0) + sum(array.nbytes for array in block.values())
        current.check_stream(passed, source)
        yield block


def counted_episodes(trajectories: Iterator[Trajectory], source: str) -> Iterator[Trajectory]:
    """As ``counted``, of episodes.

    Raises:
        ReadLimitExceeded: there are more than the files can hold.
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
    """The episodes that ``cut`` makes of blocks of rows, as long as those that wait to be joined have room for it.

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
        waiting = last  # what came before the last block has become an episode
        yield trajectory


def needed(module: str, extra: str, what: str) -> ModuleType:
    """Import a package that may not be there, or not fit the others.

    Args:
        module: to import.
        extra: of ganq-irl that brings it; "" where a dependency of ganq-irl does.
        what: needs it, for the message.

    Raises:
        MissingDependency: naming the extra.
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
    """Kind and first words of an error."""
    return f"{type(error).__name__}: {str(error)[:120]}"
