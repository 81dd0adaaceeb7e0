"""Small files that unpack to far more, for tests and for ``benchmarks/bombs.py``."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np

from ganq_irl.storage import CONFIG_FILE, TENSORS_FILE, _checksum


def write_overlapping(path: Path, names: list[str], content: bytes) -> int:
    """Write a zip whose entries all show the same bytes; returns how many they unpack to.

    The local header of each entry takes those of the next ones for its extra field, and ends where the common bytes begin.
    """
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(content) + packer.flush()
    sizes = (zlib.crc32(content), len(packed), len(content))
    extra, local = 0, []
    for name in reversed(names):
        head = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, *sizes, len(name), extra) + name.encode()
        local.append(head)
        extra += len(head)
    offset, central = 0, []
    for name, head in zip(names, reversed(local), strict=True):
        fields = (20, 20, 0, 8, 0, 33, *sizes, len(name), 0, 0, 0, 0, 0, offset)
        central.append(struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields) + name.encode())
        offset += len(head)
    begin, directory = extra + len(packed), b"".join(central)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), begin, 0)
    path.write_bytes(b"".join(reversed(local)) + packed + directory + end)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == names
    return len(names) * len(content)


def write_directory(path: Path, count: int) -> int:
    """Write a zip that is a list of ``count`` entries and nothing else; returns the memory that the list takes."""
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, 5, 0) + b"a.npy"
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, count * len(entry), len(local), 0)
    path.write_bytes(local + count * entry + end)
    return 500 * count


def zeros_npy(rows: int) -> bytes:
    """A column of zeros as numpy saves it."""
    file = BytesIO()
    np.save(file, np.zeros((rows, 1), np.float32))
    return file.getvalue()


def write_empty_tensors(folder: Path, count: int) -> None:
    """Write a policy of tensors without a number in them."""
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({str(index): empty for index in range(count)}).encode()
    (folder / TENSORS_FILE).write_bytes(len(header).to_bytes(8, "little") + header)
    config: dict[str, object] = {"schema": 1, "kind": "policy"}
    config["sha256"] = _checksum(config, folder / TENSORS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
