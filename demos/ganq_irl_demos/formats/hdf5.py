"""Safe reading of HDF5, shared by the formats that use it: a file is inspected before any data are read.

HDF5 can refer to other files, hold objects, and call filter plug-ins. All of these are refused.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ganq_irl.errors import DemoFormatError, ReadLimitExceeded, needed
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.limits import COPIES, beginning, check_size, reading
from ganq_irl_demos.formats.notes import KEY, Note

MAGIC = b"\x89HDF\r\n\x1a\n"

FILTERS = {1, 2, 3, 6, 32000}
"""Filters that ship with h5py: deflate, shuffle, checksum, scale-offset and LZF. All others are third-party plug-ins."""

MAX_DEPTH = 16
MAX_NOTE = 256 << 20

CHUNK_CACHE = 128 << 20
"""Maximum size of a chunk: reading a single row decompresses a whole chunk and caches it."""


def is_hdf5(path: Path) -> bool:
    """Return whether a file starts with the HDF5 signature."""
    return beginning(path, len(MAGIC)) == MAGIC


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file for reading, and turn h5py's errors about damaged files into ours.

    Raises:
        MissingDependency: h5py is not installed.
        DemoFormatError: the file is damaged.
    """
    h5py = needed("h5py", "hdf5", "reading HDF5")
    with reading(path), h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE) as file:
        yield file


def top_names(path: Path) -> set[str]:
    """Return the top-level names of a file; none if it cannot be opened."""
    try:
        with opened(path) as file:
            return set(file.keys())
    except ReadLimitExceeded:
        raise
    except DemoFormatError:
        return set()


def numbers(parent: Any, name: str, path: Path) -> Any:
    """Return a dataset of plain numbers in a group, without reading it.

    Args:
        parent: a group obtained from this module.
        name: name of a direct child.
        path: path of the file, for error messages.

    Raises:
        DemoFormatError: it is missing, a link, not numeric, stored in another file, or uses a plug-in or too large chunks.
    """
    import h5py

    found = member(parent, name, path)
    where = f"{path}: {parent.name.rstrip('/')}/{name}"
    if not isinstance(found, h5py.Dataset):
        raise DemoFormatError(f"{where} is a group, expected numbers")
    if found.dtype.kind not in NUMERIC:
        raise DemoFormatError(f"{where} holds {found.dtype} values; only plain numbers are read (objects could run code)")
    if found.external or found.is_virtual:
        raise DemoFormatError(f"{where} is stored in another file, which is not followed; copy the data into one file")
    filters = found.id.get_create_plist()
    foreign = sorted({filters.get_filter(index)[0] for index in range(filters.get_nfilters())} - FILTERS)
    if foreign:
        raise DemoFormatError(
            f"{where} was compressed with the filter {foreign[0]}, a plug-in that is not loaded; write it again with gzip"
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
"""Bytes that a dataset may declare without storing them in the file (fill values)."""


def check_room(datasets: Iterable[Any], path: Path, rows: int | None = None) -> None:
    """Raise unless there is memory to read the first ``rows`` of the datasets, or all rows, and build episodes from them.

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
    """Return the number of bytes that are decompressed at once."""
    return math.prod(found.chunks or (0,)) * found.dtype.itemsize


def group(parent: Any, name: str, path: Path) -> Any:
    """Return a child of a group that is a group itself.

    Raises:
        DemoFormatError: it is missing, a link, or not a group.
    """
    import h5py

    found = member(parent, name, path)
    if not isinstance(found, h5py.Group):
        raise DemoFormatError(f"{path}: {parent.name.rstrip('/')}/{name} is not a group; was it made by another program?")
    return found


def member(parent: Any, name: str, path: Path) -> Any:
    """Return a direct child of a group, and refuse links.

    Raises:
        DemoFormatError: it is missing, or a link.
    """
    import h5py

    where = f"{path}: {parent.name.rstrip('/')}/{name}"
    if "/" in name or name in (".", "") or name not in parent:
        raise DemoFormatError(f"{where} is missing; was the file made by another program, or copied only in part?")
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise DemoFormatError(f"{where} is an external or soft link, which is not followed; copy the data into the file")
    return parent[name]


def text_attribute(owner: Any, name: str) -> str | None:
    """Return a text attribute, or None."""
    value = owner.attrs.get(name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else None


def read_note(file: Any, path: Path) -> Note | None:
    """Return the note that ganq-irl stored in a file, or None."""
    if KEY not in file:
        return None
    stored = numbers(file, KEY, path)
    if stored.dtype != "u1" or stored.ndim != 1 or stored.size > MAX_NOTE:
        raise DemoFormatError(f"{path}: the note that ganq-irl stored in it is malformed; copy or write the file again")
    check_room((stored,), path)
    return Note.from_json(stored[()].tobytes(), str(path))
