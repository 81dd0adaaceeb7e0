"""Plain ``.npz`` files: one array for each field, one row for each transition. Large ones are memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl.files import replacing_file
from ganq_irl_demos.columns import joined
from ganq_irl_demos.fitting import NUMERIC, plain_array
from ganq_irl_demos.formats import npz
from ganq_irl_demos.formats.limits import open_zip, reading
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import BLOCK_ROWS, Block
from ganq_irl_demos.tables.cells import column_values
from ganq_irl_demos.tables.naming import column_name, find_columns, is_numbered
from ganq_irl_demos.tables.reading import table_stream
from ganq_irl_demos.tables.writing import row_blocks


def recognize(path: Path) -> bool:
    """Return whether a file is a zip archive of arrays without our header."""
    names = npz.zip_names(path)
    return bool(names) and all(name.endswith(".npy") for name in names or ()) and "header.npy" not in (names or ())


def read(path: Path, request: Request) -> EpisodeStream:
    """Read the arrays that are fields of transitions, and skip others, such as infos.

    Raises:
        DemoFormatError: the file is damaged, fields differ in length, or an array holds objects instead of numbers.
    """
    names = [name.removesuffix(".npy") for name in npz.zip_names(path) or ()]
    found = find_columns([name for name in names if name != KEY], request.columns, str(path))
    wanted = {name for columns in found.values() for name in columns} | ({KEY} & set(names))
    with reading(path):
        with open_zip(path) as archive:
            npz.check_entries(archive, path, wanted, NUMERIC + "SU")
        arrays = npz.load_arrays(path, wanted)
    note = Note.from_json(arrays[KEY].tobytes(), str(path)) if KEY in arrays else None
    return _stream(arrays, found, request, str(path), note)


def read_columns(columns: Mapping[str, Any], request: Request, source: str) -> EpisodeStream:
    """Read a table in memory: columns by name, as arrays, lists, tensors, or the parts of a Dict observation.

    Raises:
        GanqIrlError: as ``read``.
    """
    flat = {name: value for key, value in columns.items() for name, value in _named(str(key), value)}
    found = find_columns(list(flat), request.columns, source)
    arrays = {name: plain_array(flat[name], f"{source}, {name}") for names in found.values() for name in names}
    return _stream(arrays, found, request, source, None)


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{name}.{key}", part) for key, part in value.items())
    else:
        yield name, value


def _stream(arrays: Block, found: dict[str, list[str]], request: Request, source: str, note: Note | None) -> EpisodeStream:
    table = join_columns(arrays, found, source)
    rows = len(next(iter(table.values())))

    def blocks() -> Iterator[Block]:
        for start in range(0, rows, BLOCK_ROWS):
            yield {name: array[start : start + BLOCK_ROWS] for name, array in table.items()}

    return table_stream(blocks, request, source, note)


def join_columns(arrays: Block, found: dict[str, list[str]], source: str, first_row: int = 0) -> Block:
    """Build fields from their columns.

    Args:
        arrays: columns by name, complete or a block of their rows.
        found: the columns of each field.
        source: name for error messages.
        first_row: number of rows that precede these in the table.

    Raises:
        DemoFormatError: columns are not numeric or differ in length.
    """
    table: Block = {}
    for field, columns in found.items():
        parts = [column_values(field, arrays[name], name, source, first_row) for name in columns]
        if len({len(part) for part in parts}) > 1:
            raise DemoFormatError(f"{source}: {', '.join(columns)} differ in length; expected one row per transition")
        whole = len(parts) == 1 and not is_numbered(columns[0])
        table[field] = parts[0] if whole else np.concatenate([p.reshape(len(p), -1) for p in parts], axis=1)
    lengths = {name: len(array) for name, array in table.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {rows}" for name, rows in lengths.items())
        raise DemoFormatError(f"{source}: fields differ in length ({listed}); expected one row per transition")
    return table


def write(stream: EpisodeStream, path: Path) -> None:
    """Write one row per transition, and everything else into the entry ``ganq_irl``.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions or is malformed.
    """
    note = Note.of(stream)
    with replacing_file(path) as scratch:
        table = joined(row_blocks(stream, note), stream.source, scratch.parent)
        arrays = {column_name(name): array for name, array in table.items()}
        npz.write_entries(scratch, {**arrays, KEY: np.frombuffer(note.to_json().encode(), np.uint8)})
