"""Columns: growing arrays, one for each field of a dataset."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos.fitting import NUMERIC

IN_MEMORY = 32 << 20
"""Maximum size in bytes of a column in memory."""

CHUNK = 16 << 20
"""Number of bytes copied at a time."""


class Column:
    """A field of all episodes, concatenated. Its dtype is the common dtype of all appended arrays.

    A column larger than ``IN_MEMORY`` lives in an unnamed temporary file, which is deleted with the last array that refers
    to it. The operating system can swap its pages out, so a column may be larger than memory.

    Args:
        folder: folder of the temporary file; by default the system's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._dtype, self._rows = np.dtype(np.float64), 0
        self._shape: tuple[int, ...] = ()
        self._pieces: list[np.ndarray] = []
        self._file: IO[bytes] | None = None

    def append(self, array: np.ndarray, where: str) -> None:
        """Append rows. In memory, they are not copied until ``finished`` joins them.

        Args:
            array: ``(rows, ...)``.
            where: source and field, for error messages.

        Raises:
            InvalidDemonstrations: the array is not numeric, or its rows have another shape than the previous ones.
        """
        if not self._pieces and self._file is None:
            self._dtype, self._shape = array.dtype, array.shape[1:]
        if array.dtype.kind not in NUMERIC or array.shape[1:] != self._shape:
            shapes = sorted({self._shape, array.shape[1:]})
            found = f"shapes {shapes} of one step" if array.dtype.kind in NUMERIC else f"dtype {array.dtype}"
            raise InvalidDemonstrations(f"{where}: {found}; expected numbers of one shape")
        common = np.result_type(self._dtype, array.dtype)
        if common != self._dtype and self._file is not None:
            self._file = self._converted(common)
        self._dtype = common
        self._pieces.append(array)
        self._rows += len(array)
        if self._size > IN_MEMORY:
            self._write_out()

    def finished(self) -> np.ndarray:
        """Return all rows as one new array, in memory or mapped from the temporary file."""
        shape = (self._rows, *self._shape)
        if self._file is None:
            pieces, self._pieces = self._pieces, []
            return np.concatenate(pieces, dtype=self._dtype) if pieces else np.zeros(shape, self._dtype)
        with contextlib.closing(self._file) as file:
            file.flush()
            return np.memmap(file, self._dtype, "r+", shape=shape)

    @property
    def _size(self) -> int:
        return self._rows * int(np.prod(self._shape)) * self._dtype.itemsize

    def _write_out(self) -> None:
        if self._file is None:
            self._file = self._opened()
        for piece in self._pieces:
            self._file.write(np.ascontiguousarray(piece, dtype=self._dtype).data)
        self._pieces = []

    def _opened(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder, buffering=1 << 20)

    def _converted(self, dtype: np.dtype) -> IO[bytes]:
        """Return a copy of the temporary file in a wider dtype, written chunk by chunk."""
        assert self._file is not None
        widened = self._opened()
        with contextlib.closing(self._file) as file:
            file.seek(0)
            while chunk := file.read(CHUNK // 8 * self._dtype.itemsize):
                widened.write(np.frombuffer(chunk, self._dtype).astype(dtype).data)
        return widened


def joined(blocks: Iterable[Mapping[str, np.ndarray]], source: str, folder: Path | None = None) -> dict[str, np.ndarray]:
    """Return blocks of rows as one array for each name, in memory or mapped from temporary files in ``folder``.

    Raises:
        InvalidDemonstrations: as ``Column.append``.
    """
    columns: dict[str, Column] = {}
    for block in blocks:
        for name, array in block.items():
            columns.setdefault(name, Column(folder)).append(array, f"{source}, {name}")
    return {name: column.finished() for name, column in columns.items()}
