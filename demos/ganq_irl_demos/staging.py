"""Writing data sets that do not fit into memory: columns that grow on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos.fitting import NUMERIC

CHUNK = 16 << 20
"""Bytes copied at a time."""


class Column:
    """One field of all trajectories end to end, on disk. Its dtype becomes the common one of what is appended.

    Args:
        path: file to keep the values in; no one else's.
        name: field, for messages.
        source: of the demonstrations, for messages.
    """

    def __init__(self, path: Path, name: str, source: str) -> None:
        self.path, self.name, self.source = path, name, source
        self.rows = 0
        self.dtype = np.dtype(np.float64)
        self.shape: tuple[int, ...] = ()
        self._file = open(path, "w+b", buffering=1 << 20)  # noqa: SIM115  closed by `close`

    def append(self, array: np.ndarray) -> None:
        """Add rows.

        Raises:
            InvalidDemonstrations: not numbers, or of another shape than the rows before.
        """
        if not self.rows and not self._file.tell():
            self.dtype, self.shape = array.dtype, array.shape[1:]
        if array.dtype.kind not in NUMERIC or array.shape[1:] != self.shape:
            shapes = sorted({self.shape, array.shape[1:]})
            found = f"shapes {shapes} of one step" if array.dtype.kind in NUMERIC else f"dtype {array.dtype}"
            raise InvalidDemonstrations(
                f"{self.source}, {self.name}: {found}; expected numbers of one shape (check_demonstrations says which "
                "trajectory)"
            )
        common = np.result_type(self.dtype, array.dtype)
        if common != self.dtype:
            self._convert(common)
        self._file.write(np.ascontiguousarray(array, dtype=common).data)
        self.rows += len(array)

    def finished(self) -> np.ndarray:
        """All rows, mapped from the file."""
        self._file.flush()
        shape = (self.rows, *self.shape)
        if not int(np.prod(shape)):
            return np.zeros(shape, self.dtype)
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=shape)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _convert(self, dtype: np.dtype) -> None:
        """Write what is there again in a wider dtype, a chunk at a time."""
        before = self.finished().reshape(-1)
        widened = open(self.path.with_suffix(".wider"), "w+b", buffering=1 << 20)  # noqa: SIM115
        for start in range(0, len(before), CHUNK // 8):
            widened.write(before[start : start + CHUNK // 8].astype(dtype).data)
        self._file.close()
        os.replace(self.path.with_suffix(".wider"), self.path)
        self._file, self.dtype = widened, dtype
