"""Parquet files with one row per transition: columns of numbers, or of lists of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl.files import replacing_file
from ganq_irl_demos.formats.arrays import join_columns
from ganq_irl_demos.formats.limits import COPIES, beginning, check_size, reading
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.formats.parquet_footer import largest_row_group
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import BLOCK_ROWS, Block
from ganq_irl_demos.tables.naming import column_name, find_columns
from ganq_irl_demos.tables.reading import table_stream
from ganq_irl_demos.tables.writing import row_blocks

if TYPE_CHECKING:
    import pyarrow as pa

_SHAPE = b"shape"


def recognize(path: Path) -> bool:
    """Return whether a file starts with the Parquet signature."""
    return beginning(path, 4) == b"PAR1"


def read(path: Path, request: Request) -> EpisodeStream:
    """Read the columns that are fields of transitions; others are not decoded.

    Raises:
        DemoFormatError: the file is damaged, or a column is not numeric.
    """
    file, note = open_parquet(path)
    found = find_columns(file.schema_arrow.names, request.columns, str(path))
    return table_stream(lambda: read_blocks([path], found), request, str(path), note)


def open_parquet(path: Path) -> tuple[Any, Note | None]:
    """Open a Parquet file after checking its declared size; return it and our note in it.

    Raises:
        DemoFormatError: the file is damaged or too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path):
        largest = COPIES * largest_row_group(path)
        schema = pq.read_schema(path, memory_map=True)
        texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True, read_dictionary=texts)
    check_size(path, largest)  # rows are read one row group at a time
    text = (file.metadata.metadata or {}).get(KEY.encode())
    return file, None if text is None else Note.from_json(text, str(path))


def read_blocks(paths: list[Path], found: dict[str, list[str]]) -> Iterator[Block]:
    """Yield the rows of several files in order.

    Raises:
        DemoFormatError: a file is damaged, or a column is not numeric.
    """
    wanted = sorted({name for columns in found.values() for name in columns})
    rows = 0
    for path in paths:
        file, _ = open_parquet(path)
        with reading(path):
            # pyarrow would take the column `a.b` for the field b of a struct a
            for batch in file.iter_batches(BLOCK_ROWS, columns=[n for n in file.schema_arrow.names if n in wanted]):
                for name in needed_columns(found):
                    require_values(batch.column(name), name, str(path), rows)
                arrays = {name: to_numpy(batch.column(name), batch.schema.field(name), str(path)) for name in wanted}
                yield join_columns(arrays, found, str(path), rows)
                rows += len(batch)


def needed_columns(found: dict[str, list[str]]) -> set[str]:
    """Return the columns without missing values allowed: all but rewards, which no learner uses."""
    return {name for field, columns in found.items() if field != "rewards" for name in columns}


def require_values(column: pa.Array, name: str, source: str, first_row: int = 0) -> None:
    """Raise if a value is missing, also inside lists. The memory of a masked value does not hold a valid number.

    Raises:
        DemoFormatError: the message names the column and the row, counted from 0.
    """
    each = 1  # values per row
    while True:
        if column.null_count:
            missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
            raise DemoFormatError(
                f"{source}: column {name!r}, row {first_row + int(missing[0]) // each}: a value is missing ({missing.size} "
                "in this block of rows), expected a number; fill it in, or leave the episode out"
            )
        if not _is_list(column.type):
            return
        values = column.flatten()
        each, column = each * max(1, len(values) // max(1, len(column))), values


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def to_numpy(column: pa.Array, field: pa.Field, source: str) -> np.ndarray:
    """Convert a column of numbers (or strings) to ``(rows,)``, or one of equally long lists to ``(rows, ...)``.

    Raises:
        DemoFormatError: the column holds structs or ragged lists.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    shape: tuple[int, ...] = (len(column),)
    while _is_list(column.type):
        values, rows = column.flatten(), len(column)
        if column.null_count or (rows and len(values) % rows) or not _even(column, len(values) // max(rows, 1)):
            raise DemoFormatError(f"{source}: column {field.name!r} holds lists of different lengths, expected one shape")
        shape, column = (*shape, len(values) // max(rows, 1)), values
    kind = column.type
    if pa.types.is_dictionary(kind):  # pandas categories
        longest = pc.max(pc.binary_length(column.dictionary)).as_py() if pa.types.is_string(column.dictionary.type) else 8
        check_size(Path(source), COPIES * 4 * (longest or 1) * len(column))  # numpy pads strings, four bytes per character
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.to_numpy(zero_copy_only=False).reshape(shape)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DemoFormatError(f"{source}: column {field.name!r} holds {kind} values, expected numbers")
    array = column.to_numpy(zero_copy_only=False).reshape(shape)
    noted = (field.metadata or {}).get(_SHAPE)
    if noted is not None and re.fullmatch(rb"[0-9]+(,[0-9]+)*", noted):
        inner = tuple(map(int, noted.split(b",")))
        array = array.reshape(len(array), *inner) if array[:1].size == np.prod(inner) else array
    return array


def _even(column: pa.Array, length: int) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_fixed_size_list(column.type) or not len(column):
        return True
    lengths = pc.min_max(pc.list_value_length(column)).as_py()
    return lengths["min"] == lengths["max"] == length


def write(stream: EpisodeStream, path: Path) -> None:
    """Write one row per transition, and everything else into the metadata of the file.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions or is malformed.
    """
    note = Note.of(stream)
    with replacing_file(path) as scratch:
        write_rows(scratch, ({column_name(n): a for n, a in block.items()} for block in row_blocks(stream, note)), note)


def write_rows(path: Path, blocks: Iterator[Block], note: Note) -> None:
    """Write blocks of rows as row groups, then the note, which is complete by then, into the footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    try:
        for block in blocks:
            arrays, fields = zip(*(_to_arrow(name, array) for name, array in block.items()), strict=True)
            batch = pa.RecordBatch.from_arrays(list(arrays), schema=pa.schema(fields))
            writer = writer or pq.ParquetWriter(path, batch.schema, write_page_checksum=True)
            writer.write_batch(batch.cast(writer.schema))
        writer = writer or pq.ParquetWriter(path, pa.schema([("observations", pa.float32())]))
        writer.add_key_value_metadata({KEY: note.to_json()})
    finally:
        if writer is not None:
            writer.close()


def _to_arrow(name: str, array: np.ndarray) -> tuple[pa.Array, pa.Field]:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if array.ndim == 1:
        return flat, pa.field(name, flat.type)
    values = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))
    return values, pa.field(name, values.type, metadata={_SHAPE: ",".join(map(str, array.shape[1:]))})
