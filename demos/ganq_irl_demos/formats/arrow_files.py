"""Inspect Arrow files before pyarrow loads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ganq_irl.errors import DemoFormatError

MAGIC = b"ARROW1"
LARGEST_METADATA = 16 << 20
_CONTINUATION = b"\xff\xff\xff\xff"
_BATCHES, _BLOCK_BYTES = 3, 24  # in a footer: the field of its record batches, and the size of an entry
_HEADER_KIND, _HEADER, _BODY_LENGTH = 1, 2, 3  # fields of a message
_DICTIONARY, _BATCH = 2, 3  # kinds of header
_DATA, _COMPRESSION = 1, 3  # fields of a dictionary batch and of a record batch


def require_uncompressed(path: Path) -> None:
    """Refuse compressed batches, which would be decompressed into memory. Neither ``datasets`` nor Minari writes them.

    Raises:
        DemoFormatError: a batch is compressed.
        ValueError: not an Arrow file, or cut short.
    """
    with open(path, "rb") as file:
        for message in _messages_by_footer(file) if file.read(len(MAGIC)) == MAGIC else _messages_in_turn(file):
            if _is_compressed(message):
                raise DemoFormatError(f"{path} is compressed, which datasets and Minari never do; save the dataset again")


def _messages_in_turn(file: BinaryIO) -> Iterator[bytes]:
    place, end = 0, file.seek(0, 2)
    while place < end:
        message = _message(file, place)
        if not message:
            return
        yield message
        length = _field(message, _root(message), _BODY_LENGTH)
        body = _number(message, length, 8) if length else 0
        if body < 0:
            raise ValueError("a message body of negative size")
        place = file.tell() + body


def _messages_by_footer(file: BinaryIO) -> Iterator[bytes]:
    end = file.seek(0, 2)
    file.seek(max(0, end - 10))
    size = int.from_bytes(file.read(4), "little")
    if size > min(LARGEST_METADATA, end - 10):
        raise ValueError("no Arrow footer at the end")
    file.seek(end - 10 - size)
    footer = file.read(size)
    for kind in (_BATCHES - 1, _BATCHES):  # dictionaries and record batches
        place = _field(footer, _root(footer), kind)
        vector = place + _number(footer, place, 4) if place else 0
        for index in range(_number(footer, vector, 4) if place else 0):
            block = vector + 4 + index * _BLOCK_BYTES
            if block + _BLOCK_BYTES > size:
                raise ValueError("a footer that is cut short")
            yield _message(file, _number(footer, block, 8))


def _message(file: BinaryIO, place: int) -> bytes:
    """Return the metadata of a message and leave the file at the start of its body."""
    file.seek(place)
    head = file.read(4)
    size = int.from_bytes(file.read(4) if head == _CONTINUATION else head, "little")
    if size > LARGEST_METADATA:
        raise ValueError("implausibly large metadata")
    return file.read(size)


def _is_compressed(message: bytes) -> bool:
    """Return whether a message (a flatbuffer) declares compression."""
    root = _root(message)
    place = _field(message, root, _HEADER)
    kind = _field(message, root, _HEADER_KIND)
    if not place or not kind or message[kind] not in (_DICTIONARY, _BATCH):
        return False
    batch = place + _number(message, place, 4)
    if message[kind] == _DICTIONARY:
        place = _field(message, batch, _DATA)
        batch = place + _number(message, place, 4)
    return bool(_field(message, batch, _COMPRESSION))


def _root(buffer: bytes) -> int:
    return _number(buffer, 0, 4)


def _field(buffer: bytes, table: int, index: int) -> int:
    """Return the position of a table's field, or 0 if it is absent."""
    directory = table - _number(buffer, table, 4)
    inside = 4 + 2 * index < int.from_bytes(buffer[directory : directory + 2], "little")
    start = directory + 4 + 2 * index
    offset = int.from_bytes(buffer[start : start + 2], "little") if inside else 0
    return table + offset if offset else 0


def _number(buffer: bytes, place: int, size: int) -> int:
    return int.from_bytes(buffer[place : place + size], "little", signed=True) if place >= 0 else 0
