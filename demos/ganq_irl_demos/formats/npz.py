"""The native format: a ``.npz`` of plain arrays with a JSON header and a checksum, read without pickle.

The entries are ``header`` (UTF-8 JSON as uint8) and the arrays that ``Episodes`` describes. Keys of Dict observations are
percent-encoded in the names.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import numpy as np

from ganq_irl import budget
from ganq_irl.errors import DemoFormatError
from ganq_irl.files import replacing_file
from ganq_irl.parsing import json_cost, parse_json
from ganq_irl_demos.columns import CHUNK
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.episodes import TABLE, Arrays, Episodes
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.limits import UNREADABLE, beginning, check_zip, open_zip, reading
from ganq_irl_demos.headers import content_checksum, header_of, read_header
from ganq_irl_demos.streams import EpisodeStream, Request

MAGIC = "ganq-irl demonstrations"
VERSION = 1

COMPRESSED_BYTES = 64 << 20
"""Datasets up to this size are compressed."""

MAPPED_BYTES = 1 << 20
"""Uncompressed arrays of at least this size are memory-mapped instead of read."""

_REQUIRED = {"header", "actions", "rewards", *TABLE}


def write(stream: EpisodeStream, path: Path) -> None:
    """Write demonstrations atomically, one episode at a time. Equal demonstrations give identical files.

    Small datasets are compressed. Large ones are not, so that they can be memory-mapped.

    Raises:
        InvalidDemonstrations: trajectories differ in shape, or are not numeric.
    """
    with replacing_file(Path(path)) as scratch:
        spaces = stream.observation_space, stream.action_space
        episodes = Episodes.of(stream.episodes(), *spaces, stream.source, folder=scratch.parent)
        header = header_of(stream, episodes.seeds, episodes.ranks)
        checksum = content_checksum(header, episodes.arrays)
        header = {"format": MAGIC, "version": VERSION, **header, "checksum": checksum}
        entries = {quote(name, safe=""): array for name, array in episodes.arrays.items()}
        write_entries(scratch, {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **entries})


def write_entries(path: Path, entries: Arrays) -> None:
    """Write arrays as an ``.npz`` file, compressed when they are small."""
    small = sum(array.nbytes for array in entries.values()) <= COMPRESSED_BYTES
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in entries.items():
            _write_entry(archive, name, array, zipfile.ZIP_DEFLATED if small else zipfile.ZIP_STORED)


def _write_entry(archive: zipfile.ZipFile, name: str, array: np.ndarray, compression: int) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that the file does not depend on the clock
    info.compress_type, info.external_attr = compression, 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        flat = array.reshape(-1)
        for start in range(0, flat.size, CHUNK // 8):
            file.write(flat[start : start + CHUNK // 8].tobytes())


def recognize(path: Path) -> bool:
    """Return whether a file is a zip archive with our header."""
    names = zip_names(path)
    return names is not None and "header.npy" in names


def zip_names(path: Path) -> list[str] | None:
    """Return the entries of a zip archive; None for any other or a damaged file."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return None
    try:
        with open_zip(path) as archive:
            return archive.namelist()
    except DemoFormatError:
        raise
    except UNREADABLE:
        return None


def read(path: Path, request: Request | None = None) -> EpisodeStream:
    """Read a file written by ``write``; uncompressed arrays are memory-mapped.

    Raises:
        DemoFormatError: the file is missing, empty, truncated, altered, of another format, or of a newer version.
    """
    path = Path(path)
    _check_beginning(path)
    with reading(path):
        arrays = _read_arrays(path)
        text = arrays.pop("header").tobytes()
        budget.current().take(json_cost(text), path)  # its provenance is kept
        header = parse_json(text, path)
        checksum = _check_header(header, path)
        if content_checksum(header, arrays) != checksum:
            raise DemoFormatError(f"{path} was altered: its content does not match its checksum; copy or record it again")
        described, seeds, ranks = read_header(header, str(path))
        episodes = Episodes.from_arrays(arrays, seeds, ranks, described["observation_space"], str(path))
        return EpisodeStream.of(Demonstrations(episodes, **described, source=str(path)))


def _check_beginning(path: Path) -> None:
    if not path.is_file():
        raise DemoFormatError(f"{path} is not a file; check the path, or see `ganq-irl demos list` for what is included")
    first = beginning(path, 8)
    if not first:
        raise DemoFormatError(f"{path} is empty; copy or record it again")
    if first.startswith(b"\x80"):
        raise DemoFormatError(f"{path} is a pickle, which could run code and is never opened; export it as arrays to .npz")
    if not first.startswith(b"PK\x03\x04"):
        raise DemoFormatError(f"{path} is not an .npz file (it starts with {first!r}); give a file written by ganq-irl")


def _read_arrays(path: Path) -> Arrays:
    with open_zip(path) as archive:
        _check_declared(archive, path)
    return {unquote(entry): array for entry, array in load_arrays(path).items()}


def load_arrays(path: Path, wanted: Collection[str] | None = None) -> Arrays:
    """Return the arrays of an .npz file by name, memory-mapped if uncompressed; all of them, or those in ``wanted``."""
    arrays: Arrays = {}
    with np.load(path, allow_pickle=False) as entries, open(path, "rb") as file:
        for entry in entries.files:
            if wanted is None or entry in wanted:
                mapped = _mapped(entries.zip.getinfo(f"{entry}.npy"), file, path)
                arrays[entry] = entries[entry] if mapped is None else mapped
    budget.current().hold(arrays.values(), path)
    return arrays


def _mapped(info: zipfile.ZipInfo, file: BinaryIO, path: Path) -> np.ndarray | None:
    """Return an entry as a memory map; None if it is small, compressed, or in Fortran order."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size < MAPPED_BYTES:
        return None
    file.seek(info.header_offset)
    local = file.read(30)  # the local header ends with the lengths of the name and of the extra field
    file.seek(info.header_offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little"))
    shape, fortran_order, dtype = read_array_header(file)
    if fortran_order or dtype.kind not in NUMERIC:
        return None
    return np.memmap(path, dtype=dtype, mode="r", offset=file.tell(), shape=shape)


def read_array_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return the shape, order and dtype from the header of a ``.npy`` entry."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version}, expected 1.0 or 2.0")
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return reader(file)


def _check_declared(archive: zipfile.ZipFile, path: Path) -> None:
    """Check names, dtypes and sizes before any array is allocated."""
    infos = archive.infolist()
    names = [info.filename.removesuffix(".npy") for info in infos]
    if missing := sorted(_REQUIRED.difference(names)):
        raise DemoFormatError(
            f"{path} is not a demonstration file of ganq-irl: it lacks {missing} and holds {sorted(names)[:12]}. For arrays "
            "of another library, build Trajectory objects from them and use save_demonstrations"
        )
    if len(set(names)) != len(names):
        raise DemoFormatError(f"{path} was altered: it has a duplicate entry; copy or record it again")
    check_entries(archive, path)


def check_entries(archive: zipfile.ZipFile, path: Path, wanted: Collection[str] | None = None, kinds: str = NUMERIC) -> None:
    """Raise unless every entry (or those in ``wanted``) is a plain array of the given dtype ``kinds`` and of valid size.

    Raises:
        DemoFormatError: the message names the entry.
    """
    infos = [i for i in archive.infolist() if wanted is None or i.filename.removesuffix(".npy") in wanted]
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise DemoFormatError(f"{path} uses a compression that numpy does not write; save it again with numpy or ganq-irl")
    unpacking = [info for info in infos if info.compress_type != zipfile.ZIP_STORED or info.file_size < MAPPED_BYTES]
    check_zip(archive, path, unpacking)  # arrays that are not in C order are copied, one at a time
    for info in infos:
        _check_array_header(archive, info, path, kinds)


def _check_array_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, kinds: str) -> None:
    with archive.open(info) as file:
        shape, _, dtype = read_array_header(file)
        if dtype.kind not in kinds:
            raise DemoFormatError(
                f"{path}: entry {info.filename} holds {dtype} values; only plain numbers are read (objects could run code)"
            )
        if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise DemoFormatError(f"{path} was altered: entry {info.filename} declares {shape}, but has another size")


def _check_header(header: Any, path: Path) -> str:
    """Check the format and version in the header, and return the checksum."""
    if not isinstance(header, dict) or header.pop("format", None) != MAGIC:
        raise DemoFormatError(f"{path} is not a demonstration file of ganq-irl (its header names another format)")
    version = header.pop("version", None)
    if not isinstance(version, int) or version > VERSION:
        raise DemoFormatError(
            f"{path} has format version {version}, this ganq-irl reads up to {VERSION}; upgrade ganq-irl, or save the file "
            "again with this version"
        )
    return str(header.pop("checksum", ""))
