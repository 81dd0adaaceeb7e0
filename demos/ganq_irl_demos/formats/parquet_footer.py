"""Unpacked size of a Parquet file, from its footer and page headers (Thrift's compact protocol).

pyarrow's own accessors abort the process with an uncaught C++ exception if the statistics of a column are damaged. Every
page header is read, since pages need not have the sizes that the footer declares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"PAR1"
LARGEST_FOOTER = 64 << 20
HEADER_BYTES = 1 << 14
"""Maximum size of a page header in bytes."""

VALUE_BYTES = 8
_MAX_DEPTH = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_ROW_GROUPS, _COLUMNS, _COLUMN_METADATA = 4, 1, 3  # fields of FileMetaData, RowGroup and ColumnChunk
_NUM_VALUES, _COMPRESSED_SIZE, _DATA_OFFSET, _DICTIONARY_OFFSET = 5, 7, 9, 11  # fields of ColumnMetaData
_PAGE_UNPACKED, _PAGE_PACKED = 2, 3  # fields of PageHeader


def largest_row_group(path: Path) -> int:
    """Return an upper bound on the bytes needed to decode a row group: its values, and a page and dictionary per column.

    Raises:
        ValueError: the footer is missing, too large, or malformed; or a page is larger than its column.
        LookupError: the footer is cut short.
    """
    with open(path, "rb") as file:
        return max((sum(_bytes(file, column) for column in columns) for columns in _row_groups(file)), default=0)


def _row_groups(file: BinaryIO) -> list[list[dict[int, Any]]]:
    """Return the metadata of the columns in each row group."""
    end = file.seek(0, 2)
    file.seek(max(0, end - 8))
    tail = file.read(8)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or size > min(LARGEST_FOOTER, end - 8):
        raise ValueError("no Parquet footer at the end")
    file.seek(end - 8 - size)
    metadata = _Reader(file.read(size)).struct()
    return [[column[_COLUMN_METADATA] for column in group.get(_COLUMNS, ())] for group in metadata.get(_ROW_GROUPS, ())]


def _values(column: Any) -> int:
    count = column[_NUM_VALUES]
    if not isinstance(count, int) or count < 0:
        raise ValueError("a column with a negative number of values")
    return count


def _bytes(file: BinaryIO, column: Any) -> int:
    pages = list(_page_sizes(file, column))
    return VALUE_BYTES * _values(column) + sum(sorted(pages)[-2:])


def _page_sizes(file: BinaryIO, column: Any) -> Iterator[int]:
    """Yield the unpacked size of each page of a column in bytes."""
    place = min(offset for offset in (column[_DATA_OFFSET], column.get(_DICTIONARY_OFFSET, 0)) if offset > 0)
    end = place + column[_COMPRESSED_SIZE]
    while place < end:
        file.seek(place)
        reader = _Reader(file.read(HEADER_BYTES))
        header = reader.struct()
        unpacked, packed = header[_PAGE_UNPACKED], header[_PAGE_PACKED]
        if unpacked < 0 or not 0 <= packed <= end - place:
            raise ValueError("a page larger than its column")
        yield unpacked
        place += reader.place + packed


class _Reader:
    """Reader of Thrift's compact protocol. A struct becomes a dict from field IDs to values."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (header := self._byte()) != 0:
            number = number + (header >> 4) if header >> 4 else self._integer()
            kind = header & 15
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in (_DOUBLE, _BINARY):
            return self._skip(8 if kind == _DOUBLE else self._varint())
        if kind in (_LIST, _SET):
            header = self._byte()
            return [self._value(header & 15, depth + 1) for _ in range(self._count(header >> 4))]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind == _MAP:
            raise ValueError("a map, which Parquet never uses")
        raise ValueError(f"a value of the unknown kind {kind}")

    def _count(self, short: int) -> int:
        count = self._varint() if short == 15 else short
        if count > len(self.content) - self.place:
            raise ValueError("a list longer than the file")
        return count

    def _skip(self, size: int) -> None:
        if size > len(self.content) - self.place:
            raise ValueError("a string longer than the file")
        self.place += size

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("an integer of more than 64 bits")

    def _byte(self) -> int:
        byte = self.content[self.place]
        self.place += 1
        return byte
