"""CSV files with a header line and one row per transition."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations
from ganq_irl.files import replacing_file
from ganq_irl_demos.formats.arrays import join_columns
from ganq_irl_demos.formats.limits import beginning, check_columns, reading
from ganq_irl_demos.formats.notes import Note
from ganq_irl_demos.formats.parquet import needed_columns, require_values
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import FLAGS, Block
from ganq_irl_demos.tables.naming import column_name, find_columns
from ganq_irl_demos.tables.reading import table_stream
from ganq_irl_demos.tables.writing import row_blocks

HEADER_BYTES = 1 << 20
MISSING = ["", "NA", "N/A", "<NA>", "null", "NULL", "None"]
"""Spellings of a missing value. NaN is not one of them: the checks report it as a value that is not finite."""

MAX_COLUMNS = 4096
"""Maximum number of columns written for one field. Images need another format."""


def recognize(path: Path) -> bool:
    """Return whether the first line holds several names separated by commas, semicolons or tabs."""
    line, newline, _ = beginning(path, HEADER_BYTES).partition(b"\n")
    text = line.decode("ascii", "replace").strip("\r\ufeff")
    return bool(newline) and _delimiter(line) is not None and text.replace("\t", "").isprintable() and "\ufffd" not in text


def _delimiter(line: bytes) -> str | None:
    return next((mark for mark in (",", ";", "\t") if mark.encode() in line), None)


def read(path: Path, request: Request) -> EpisodeStream:
    """Read the columns that are fields of transitions.

    Raises:
        DemoFormatError: the file is damaged, or a column is not numeric.
    """
    header = beginning(path, HEADER_BYTES).partition(b"\n")[0]
    delimiter = _delimiter(header)
    check_columns(header.count((delimiter or ",").encode()) + 1, str(path))
    found = find_columns(_names(path, delimiter or ","), request.columns, str(path))

    def blocks() -> Iterator[Block]:
        field_of = {name: field for field, columns in found.items() for name in columns}
        rows = 0
        with reading(path, "is not a table of numbers"):
            for batch in _open(path, delimiter or ",", sorted(field_of)):
                for name in needed_columns(found):
                    require_values(batch.column(name), name, str(path), rows)
                arrays = {name: _values(batch.column(name), field) for name, field in field_of.items()}
                if len(batch):
                    yield join_columns(arrays, found, str(path), rows)
                rows += len(batch)

    return table_stream(blocks, request, str(path), is_text=True)


def _names(path: Path, delimiter: str) -> list[str]:
    with reading(path, "does not begin with names of columns"):
        names: list[str] = _open(path, delimiter).schema.names
    if twice := [name for name in names if names.count(name) > 1]:
        raise DemoFormatError(f"{path}: two columns are called {twice[0]!r}; rename one of them")
    return names


def _open(path: Path, delimiter: str, wanted: list[str] | None = None) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    # all as text, since the first block does not tell the types of later rows
    types = {name: pa.string() for name in wanted or ()}
    convert = (
        csv.ConvertOptions(include_columns=wanted, column_types=types, strings_can_be_null=True, null_values=MISSING)
        if wanted
        else None
    )
    return csv.open_csv(path, parse_options=csv.ParseOptions(delimiter=delimiter), convert_options=convert)


def _values(column: Any, field: str) -> np.ndarray:
    """Convert a column of text to doubles if all of it is numeric, with NaN for missing values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if field not in FLAGS:
        with contextlib.suppress(pa.ArrowInvalid):
            return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return column.to_numpy(zero_copy_only=False)


def write(stream: EpisodeStream, path: Path) -> None:
    """Write one row per transition, with enough digits to restore every number exactly.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions, or an observation has too many numbers for a line of text.
    """
    import pyarrow as pa
    from pyarrow import csv

    with replacing_file(path) as scratch:
        writer: Any = None
        try:
            for block in row_blocks(stream, Note.of(stream)):
                columns = {name: _plain(array) for field, array in block.items() for name, array in _wide(field, array)}
                batch = pa.RecordBatch.from_pydict(columns)
                writer = writer or csv.CSVWriter(scratch, batch.schema)
                writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise InvalidDemonstrations(f"{stream.source} holds no trajectories; an empty table cannot be read back")


def _wide(field: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if array.ndim == 1:
        yield column_name(field), array
        return
    flat = array.reshape(len(array), -1)
    if flat.shape[1] > MAX_COLUMNS:
        raise InvalidDemonstrations(f"{field}: {flat.shape[1]} numbers per step are too many for CSV; write parquet or npz")
    for index, column in enumerate(flat.T):
        yield f"{column_name(field)}[{index}]", np.ascontiguousarray(column)


def _plain(array: np.ndarray) -> np.ndarray:
    """Convert numbers to types that survive the round trip: a double's digits also restore any narrower float."""
    return array.astype(np.int8 if array.dtype == bool else np.float64 if array.dtype.kind == "f" else array.dtype)
