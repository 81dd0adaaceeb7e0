"""D4RL's HDF5 files: ``observations actions rewards terminals timeouts [next_observations]``, one row per transition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.formats.arrays import join_columns
from ganq_irl_demos.formats.hdf5 import check_room, is_hdf5, numbers, opened, read_note, top_names
from ganq_irl_demos.formats.hdf5_writing import replacing_hdf5
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import BLOCK_ROWS, Block
from ganq_irl_demos.tables.naming import SYNONYMS, column_name, find_columns
from ganq_irl_demos.tables.reading import table_stream
from ganq_irl_demos.tables.writing import row_blocks

_OURS = {"terminated": "terminals", "truncated": "timeouts"}


def recognize(path: Path) -> bool:
    """Return whether an HDF5 file has observations at its top level."""
    return is_hdf5(path) and any(name.partition(".")[0] in SYNONYMS["observations"] for name in top_names(path))


def read(path: Path, request: Request) -> EpisodeStream:
    """Read the top-level datasets that are fields of transitions, block by block. Infos and metadata are skipped.

    Raises:
        MissingDependency: h5py is not installed.
        DemoFormatError: the file is damaged, holds objects or links, or its fields differ in length.
    """
    with opened(path) as file:
        names = _datasets(file)
        if not names and "episode_0" in file:
            raise DemoFormatError(
                f"{path} holds episodes in Minari's layout, but their spaces are in the metadata.json beside it; give the "
                "folder of the dataset"
            )
        found = find_columns(names, request.columns, str(path))
        note = read_note(file, path)
        _columns(file, found, path)

    def blocks() -> Iterator[Block]:
        with opened(path) as file:
            arrays = _columns(file, found, path)
            rows = {len(array) for array in arrays.values() if array.ndim}
            for start in range(0, max(rows, default=0), BLOCK_ROWS):
                part = {
                    name: array[start : start + BLOCK_ROWS] if array.ndim else array[()] for name, array in arrays.items()
                }
                yield join_columns(part, found, str(path))

    return table_stream(blocks, request, str(path), note)


def _columns(file: Any, found: dict[str, list[str]], path: Path) -> dict[str, Any]:
    """Return the datasets that can be read a block of rows at a time."""
    arrays = {name: numbers(file, name, path) for columns in found.values() for name in columns}
    check_room(arrays.values(), path, BLOCK_ROWS)
    return arrays


def _datasets(file: Any) -> list[str]:
    import h5py

    return [name for name in file if name != KEY and file.get(name, getclass=True, getlink=False) is h5py.Dataset]


def write(stream: EpisodeStream, path: Path) -> None:
    """Write one row per transition, and everything else into the dataset ``ganq_irl``.

    Raises:
        MissingDependency: h5py is not installed.
        InvalidDemonstrations: a trajectory has no transitions or is malformed.
    """
    note = Note.of(stream)
    with replacing_hdf5(path) as (file, disk):
        for block in disk.until_failure(row_blocks(stream, note)):
            for field, array in block.items():
                _append(file, _OURS.get(field, column_name(field)), array)
        file.create_dataset(KEY, data=np.frombuffer(note.to_json().encode(), np.uint8))


def _append(file: Any, name: str, rows: np.ndarray) -> None:
    if name not in file:
        file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]), chunks=True)
        return
    stored = file[name]
    stored.resize(len(stored) + len(rows), axis=0)
    stored[-len(rows) :] = rows
