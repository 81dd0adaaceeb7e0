"""Safe reading of HDF5, shared by its formats: a file is inspected before anything in it is read.

HDF5 can point into other files, hold objects, and call filters that are plug-ins. None of that is followed here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ganq_irl.errors import DemoFormatError, GanqIrlError, ReadLimitExceeded
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.limits import COPIES, brief, check_size, needed
from ganq_irl_demos.formats.notes import KEY, Note

MAGIC = b"\x89HDF\r\n\x1a\n"

FILTERS = {1, 2, 3, 6, 32000}
"""Filters that come with h5py: deflate, shuffle, checksum, scale and offset, LZF. Others are plug-ins from elsewhere."""

MAX_DEPTH = 16
MAX_NOTE = 256 << 20

CHUNK_CACHE = 128 << 20
"""Largest chunk of a data set: what has to be decompressed for a single row, and is kept for the next."""


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file for reading; what h5py says of a damaged one becomes a sentence.

    Raises:
        MissingDependency: h5py is not installed.
        DemoFormatError: damaged.
    """
    h5py = needed("h5py", "hdf5", "reading HDF5")
    try:
        with h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE) as file:
            yield file
    except GanqIrlError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DemoFormatError(f"{path} is truncated or altered ({brief(error)}); copy or write it again") from error


def top_names(path: Path) -> set[str]:
    """Names at the top of a file; none where it cannot be opened."""
    try:
        with opened(path) as file:
            return set(file.keys())
    except ReadLimitExceeded:
        raise
    except DemoFormatError:
        return set()


def numbers(parent: Any, name: str, path: Path) -> Any:
    """A data set of plain numbers inside a group, not yet read.

    Args:
        parent: a group that was reached through this module.
        name: one step down.
        path: of the file, for messages.

    Raises:
        DemoFormatError: absent, a link, objects, kept in another file, filtered by a plug-in, or in chunks too large.
    """
    import h5py

    found = member(parent, name, path)
    where = f"{path}: {parent.name.rstrip('/')}/{name}"
    if not isinstance(found, h5py.Dataset):
        raise DemoFormatError(f"{where} is a group, expected numbers")
    if found.dtype.kind not in NUMERIC:
        raise DemoFormatError(f"{where} holds {found.dtype} values; only plain numbers are read (objects could run code)")
    if found.external or found.is_virtual:
        raise DemoFormatError(f"{where} lies in another file, which is not followed; copy the data into one file")
    filters = found.id.get_create_plist()
    foreign = sorted({filters.get_filter(index)[0] for index in range(filters.get_nfilters())} - FILTERS)
    if foreign:
        raise DemoFormatError(
            f"{where} was compressed by the filter {foreign[0]}, a plug-in that is not loaded; write it again with gzip"
        )
    declared = found.size * found.dtype.itemsize
    if _chunk_bytes(found) > CHUNK_CACHE:
        raise DemoFormatError(
            f"{where} is stored in chunks of {_chunk_bytes(found)} bytes; write it again with smaller ones"
        )
    if declared > FREE_ROWS and found.chunks is None and declared > path.stat().st_size:
        raise DemoFormatError(f"{where} declares {declared} bytes in a smaller file; copy or write it again")
    return found


FREE_ROWS = 1 << 20
"""Bytes that a data set may declare without lying in the file (fill values)."""


def check_room(datasets: Iterable[Any], path: Path, rows: int | None = None) -> None:
    """Raise unless the first ``rows`` of data sets, or all, can be read at once and become episodes.

    Raises:
        ReadLimitExceeded: they are too large.
    """
    wanted = 0
    for found in datasets:
        count = len(found) if found.ndim else 1
        part = 1.0 if rows is None else min(1.0, rows / max(count, 1))
        wanted += _chunk_bytes(found) + COPIES * int(found.size * found.dtype.itemsize * part)
    check_size(path, wanted)


def _chunk_bytes(found: Any) -> int:
    """Bytes that are decompressed at once."""
    return math.prod(found.chunks or (0,)) * found.dtype.itemsize


def group(parent: Any, name: str, path: Path) -> Any:
    """A group inside a group.

    Raises:
        DemoFormatError: absent, a link, or no group.
    """
    import h5py

    found = member(parent, name, path)
    if not isinstance(found, h5py.Group):
        raise DemoFormatError(f"{path}: {parent.name.rstrip('/')}/{name} is no group; was it made by another program?")
    return found


def member(parent: Any, name: str, path: Path) -> Any:
    """What lies directly under a name, if it lies there itself.

    Raises:
        DemoFormatError: absent, or a link to elsewhere.
    """
    import h5py

    where = f"{path}: {parent.name.rstrip('/')}/{name}"
    if "/" in name or name in (".", "") or name not in parent:
        raise DemoFormatError(f"{where} is missing; was the file made by another program, or copied in part?")
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise DemoFormatError(f"{where} is a link to elsewhere, which is not followed; copy the data into the file")
    return parent[name]


def text_attribute(owner: Any, name: str) -> str | None:
    """An attribute that is text, or None."""
    value = owner.attrs.get(name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else None


def read_note(file: Any, path: Path) -> Note | None:
    """Our own note in a file, if there is one."""
    if KEY not in file:
        return None
    stored = numbers(file, KEY, path)
    if stored.dtype != "u1" or stored.ndim != 1 or stored.size > MAX_NOTE:
        raise DemoFormatError(f"{path}: what ganq-irl noted in it is malformed; copy or write the file again")
    check_room((stored,), path)
    return Note.from_json(stored[()].tobytes(), str(path))
