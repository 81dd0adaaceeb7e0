"""Write HDF5 so that a full disk raises an error instead of crashing the process.

If HDF5's last write fails while a file is being closed, h5py ignores the error and the interpreter later dies of a
segmentation fault. HDF5 therefore writes to a file object that never reports a failure, and we raise the failure ourselves.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ganq_irl.errors import needed
from ganq_irl.files import replacing_file

T = TypeVar("T")


class DeferredErrorFile(io.RawIOBase):
    """A new file for HDF5 to write to. It records its first failure instead of raising it.

    Args:
        path: path of the file.

    Attributes:
        failure: the first error of the disk, or None.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  closed by `close`

    def until_failure(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and stop with an error once a write has failed.

        Raises:
            OSError: the recorded failure.
        """
        for item in items:
            self.require_sound()
            yield item

    def require_sound(self) -> None:
        """Raise the recorded failure, if any."""
        if self.failure is not None:
            raise self.failure

    def write(self, content: Any) -> int:
        """Write all of the content; on a failure, record it and report success."""
        left = memoryview(content).cast("B")
        size, end = len(left), self._file.tell() + len(left)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.failure = self.failure or error
            self._file.seek(end)
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file; on a failure, record it."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        return self._file.readinto(buffer) or 0

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextlib.contextmanager
def deferred_error_file(path: Path) -> Iterator[DeferredErrorFile]:
    """Yield a file for HDF5 to write to; at the end of the block, raise the recorded failure.

    Raises:
        OSError: the disk is full or cannot be written to.
    """
    with contextlib.closing(DeferredErrorFile(path)) as disk:
        try:
            yield disk
        finally:
            disk.require_sound()  # instead of HDF5's own error


@contextlib.contextmanager
def replacing_hdf5(target: Path) -> Iterator[tuple[Any, DeferredErrorFile]]:
    """Yield a new HDF5 file and the file object below it. It replaces ``target`` if the block succeeds.

    Raises:
        MissingDependency: h5py is not installed.
        OSError: the disk is full or cannot be written to.
    """
    h5py = needed("h5py", "hdf5", "writing HDF5")
    with replacing_file(target) as scratch, deferred_error_file(scratch) as disk, h5py.File(disk, "w") as file:
        yield file, disk
