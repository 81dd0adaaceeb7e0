"""The native format: a compressed ``.npz`` of plain arrays with a JSON header and a checksum, read with pickling off.

Entries: ``header`` (UTF-8 JSON as uint8) and the arrays that ``ganq_irl_demos.packing`` describes; the key of a Dict
observation is percent-encoded in the entry's name.
"""

from __future__ import annotations

import io
import json
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.packing import NUMERIC, TABLE, Arrays, content_checksum, pack, unpack
from ganq_irl_demos.trajectories import Demonstrations

MAGIC = "ganq-irl demonstrations"
VERSION = 1

MAX_BYTES = 8 << 30
"""Largest size of all arrays unpacked. A file that declares more is refused before anything is allocated."""

MAX_RATIO = 200
"""Largest ratio of unpacked to packed size, asked of files that unpack to more than ``FREE_BYTES``."""

FREE_BYTES = 256 << 20

_REQUIRED = {"header", "actions", "rewards", *TABLE}

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OSError,
    OverflowError,
    SyntaxError,
    MemoryError,
    RecursionError,
    RuntimeError,  # encrypted entries; NotImplementedError: unknown compression
    tokenize.TokenError,
)
"""What zipfile and numpy raise on damaged input. Each is turned into a DemoFormatError that says what to do."""


def write(demonstrations: Demonstrations, path: Path) -> None:
    """Write demonstrations atomically; equal demonstrations give equal bytes.

    Raises:
        InvalidDemonstrations: trajectories differ in shape or hold something else than numbers.
    """
    from ganq_irl.storage import replace_file  # imports torch

    header, arrays = pack(demonstrations)
    header = {"format": MAGIC, "version": VERSION, **header, "checksum": content_checksum(header, arrays)}
    entries: dict[str, Any] = {_entry(name): array for name, array in arrays.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **entries)
    replace_file(Path(path), buffer.getvalue())


def read(path: Path) -> Demonstrations:
    """Read what ``write`` wrote.

    Raises:
        DemoFormatError: the file is missing, empty, truncated, altered, of another kind, or of a newer version.
    """
    path = Path(path)
    _check_beginning(path)
    try:
        arrays = _read_arrays(path)
        header = json.loads(arrays.pop("header").tobytes())
    except DemoFormatError:
        raise
    except _UNREADABLE as error:
        raise DemoFormatError(f"{path} is truncated or altered ({_brief(error)}); copy or record it again") from error
    checksum = _check_header(header, path)
    if content_checksum(header, arrays) != checksum:
        raise DemoFormatError(f"{path} was altered: its content does not match its checksum; copy or record it again")
    return unpack(header, arrays, str(path))


def _check_beginning(path: Path) -> None:
    if not path.is_file():
        raise DemoFormatError(f"{path} is not a file; check the path, or see `ganq-irl demos list` for what is shipped")
    with open(path, "rb") as file:
        beginning = file.read(8)
    if not beginning:
        raise DemoFormatError(f"{path} is empty; copy or record it again")
    if beginning.startswith(b"\x80"):
        raise DemoFormatError(f"{path} is a pickle, which could run code and is never opened; export it as arrays to .npz")
    if not beginning.startswith(b"PK\x03\x04"):
        raise DemoFormatError(f"{path} is not an .npz file (it begins with {beginning!r}); give a file written by ganq-irl")


def _read_arrays(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        _check_declared(archive, path)
    with np.load(path, allow_pickle=False) as entries:
        return {_name(entry): entries[entry] for entry in entries.files}


def _check_declared(archive: zipfile.ZipFile, path: Path) -> None:
    """Look at names, dtypes and sizes before any array is allocated."""
    infos = archive.infolist()
    names = [info.filename.removesuffix(".npy") for info in infos]
    if missing := sorted(_REQUIRED.difference(names)):
        raise DemoFormatError(
            f"{path} is not a demonstration file of ganq-irl: it lacks {missing} and holds {sorted(names)[:12]}. Arrays of "
            "another library: build Trajectory objects from them and use save_demonstrations"
        )
    if len(set(names)) != len(names):
        raise DemoFormatError(f"{path} was altered: it holds an entry twice; copy or record it again")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise DemoFormatError(f"{path} uses a compression that numpy does not write; save it again with numpy or ganq-irl")
    declared, packed = sum(info.file_size for info in infos), path.stat().st_size
    if declared > MAX_BYTES or (declared > FREE_BYTES and declared > MAX_RATIO * packed):
        raise DemoFormatError(
            f"{path} has {packed} bytes but would unpack to {declared}, which is taken for an attack "
            f"(limits: {MAX_BYTES} bytes, and {MAX_RATIO} times the file's size); split it if it is genuine"
        )
    for info in infos:
        _check_array_header(archive, info, path)


def _check_array_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise DemoFormatError(f"{path}: entry {info.filename} has array format {version}, expected 1.0 or 2.0")
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(file)
        if dtype.kind not in NUMERIC:
            raise DemoFormatError(
                f"{path}: entry {info.filename} holds {dtype} values; only plain numbers are read (objects could run code)"
            )
        if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise DemoFormatError(f"{path} was altered: entry {info.filename} declares {shape} but has another size")


def _check_header(header: Any, path: Path) -> str:
    """Take format, version and checksum out of the header, and return the checksum."""
    if not isinstance(header, dict) or header.pop("format", None) != MAGIC:
        raise DemoFormatError(f"{path} is not a demonstration file of ganq-irl (its header says something else)")
    version = header.pop("version", None)
    if not isinstance(version, int) or version > VERSION:
        raise DemoFormatError(
            f"{path} has format version {version}, this ganq-irl reads up to {VERSION}; upgrade ganq-irl, or save the file "
            "again with the version at hand"
        )
    return str(header.pop("checksum", ""))


def _entry(name: str) -> str:
    return quote(name, safe="")


def _name(entry: str) -> str:
    return unquote(entry)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"
