"""File formats of demonstrations: one module a format, one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ganq_irl.errors import DemoFormatError, nearest
from ganq_irl_demos.formats import npz
from ganq_irl_demos.trajectories import Demonstrations


@dataclass(frozen=True)
class DemoFormat:
    """How demonstrations lie in a file.

    Attributes:
        name: as given to ``--format``.
        suffix: ending of the file name, by which the format is recognised.
        read: ``path -> Demonstrations``; raises ``DemoFormatError`` and never runs code from the file.
        write: ``(demonstrations, path)``, atomically; what is read back equals what was written.
        description: one line of help.
    """

    name: str
    suffix: str
    read: Callable[[Path], Demonstrations]
    write: Callable[[Demonstrations, Path], None]
    description: str


FORMATS: dict[str, DemoFormat] = {
    "npz": DemoFormat(
        "npz", ".npz", npz.read, npz.write, "ganq-irl's own: compressed numpy arrays with a checksum, no pickles"
    ),
}


def format_of(path: Path, name: str | None = None) -> DemoFormat:
    """The format called ``name``, or else the one that the suffix of ``path`` stands for.

    Raises:
        DemoFormatError: no such format.
    """
    if name is not None:
        if name not in FORMATS:
            raise DemoFormatError(f"unknown format {name!r}; {nearest(name, FORMATS)}")
        return FORMATS[name]
    for candidate in FORMATS.values():
        if path.name.lower().endswith(candidate.suffix):
            return candidate
    known = ", ".join(f"*{candidate.suffix} ({candidate.name})" for candidate in FORMATS.values())
    raise DemoFormatError(f"{path}: its name does not say what format it is; known: {known}")
