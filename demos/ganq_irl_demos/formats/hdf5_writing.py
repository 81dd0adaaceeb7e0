"""Writing HDF5 so that a full disk is an error and not the end of the process.

Where a write of HDF5's own fails as a file is closed, h5py passes over it, and the interpreter ends in a segmentation fault.
HDF5 therefore writes to a file object that never fails it, and what the disk said is raised beside it.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ganq_irl.files import replacing_file
from ganq_irl_demos.formats.limits import needed

T = TypeVar("T")


class PatientFile(io.RawIOBase):
    """A new file for HDF5 to write to, whose first failure is kept instead of raised.

    Args:
        path: of the file.

    Attributes:
        failure: what the disk refused first, or None.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  closed by `close`

    def heeded(self, items: Iterable[T]) -> Iterator[T]:
        """The items, until the disk refuses something.

        Raises:
            OSError: it did.
        """
        for item in items:
            self.require_sound()
            yield item

    def require_sound(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    def write(self, content: Any) -> int:
        """Write all of it, or keep the failure and seem to have done so."""
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
        """Set the length of the file, or keep the failure."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        """As of any file."""
        return self._file.readinto(buffer) or 0

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """As of any file."""
        return self._file.tell()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
        super().close()


@contextlib.contextmanager
def patient_file(path: Path) -> Iterator[PatientFile]:
    """Yield a file for HDF5 to write to; when the block has ended, what the disk refused is raised.

    Raises:
        OSError: the disk is full or cannot be written to.
    """
    with contextlib.closing(PatientFile(path)) as disk:
        try:
            yield disk
        finally:
            disk.require_sound()  # in the place of what HDF5 made of it


@contextlib.contextmanager
def replacing_hdf5(target: Path) -> Iterator[tuple[Any, PatientFile]]:
    """Yield a new HDF5 file, which takes the place of ``target`` when the block ends well, and what it is written to.

    Raises:
        MissingDependency: h5py is not installed.
        OSError: the disk is full or cannot be written to.
    """
    h5py = needed("h5py", "hdf5", "writing HDF5")
    with replacing_file(target) as scratch, patient_file(scratch) as disk, h5py.File(disk, "w") as file:
        yield file, disk
