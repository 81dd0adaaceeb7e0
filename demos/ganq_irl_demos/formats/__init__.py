"""File formats of demonstrations: one module and one line of ``FORMATS`` for each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from ganq_irl.errors import ConfigurationError, DemoFormatError, nearest, needed
from ganq_irl_demos.streams import EpisodeStream, Request


@dataclass(frozen=True)
class DemoFormat:
    """One way to store demonstrations in a file or folder.

    The module of a format has three functions. ``recognize(path) -> bool`` looks at the content. ``read(path, request) ->
    EpisodeStream`` raises ``DemoFormatError`` and never runs code from the file. ``write(stream, path)``, for formats with a
    ``suffix``, is atomic and keeps at most one block in memory. Modules are imported on first use.

    Attributes:
        name: the value of ``--format``, and with ``_`` for ``-`` the name of its module in this package.
        suffix: file name extension; "" for a read-only format.
        loses: what a round trip loses; "" if nothing.
        description: one line of help.
        package: the package that reads and writes it, or "".
        extra: the extra of ganq-irl that installs the package; "" if ganq-irl itself does.
        is_folder: whether it is a folder of files.
        has_masks: whether its files name subsets of their episodes.
    """

    name: str
    suffix: str
    loses: str
    description: str
    package: str = ""
    extra: str = ""
    is_folder: bool = False
    has_masks: bool = False

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.name.replace('-', '_')}")

    def recognize(self, path: Path) -> bool:
        """Return whether ``path`` has this format, by its content."""
        return bool(self._module.recognize(path))

    def read(self, path: Path, request: Request | None = None) -> EpisodeStream:
        """Open a file and return its episodes, which are read when they are iterated over.

        Raises:
            ConfigurationError: a mask was given for a format without masks.
        """
        self._require_package()
        if request is not None and request.mask is not None and not self.has_masks:
            masked = ", ".join(name for name, known in FORMATS.items() if known.has_masks)
            raise ConfigurationError(f"{path} has the format {self.name}, which has no masks; only {masked} has")
        stream: EpisodeStream = self._module.read(path, request or Request())
        return replace(stream, format=self.name)

    def write(self, stream: EpisodeStream, path: Path) -> None:
        """Write episodes one by one. The file appears when it is complete, or not at all.

        Raises:
            DemoFormatError: the format is read-only.
        """
        if not self.suffix:
            written = ", ".join(name for name, known in FORMATS.items() if known.suffix)
            raise DemoFormatError(f"{self.name} is read-only; use one of: {written}")
        self._require_package()
        self._module.write(stream, path)

    def _require_package(self) -> None:
        if self.package:
            needed(self.package, self.extra, f"the format {self.name}")


_EMPTY = "trajectories without transitions"
_NO_DICTS = f"{_EMPTY}; Dict observations"
_MINARI = "a Minari dataset: its folder, or minari:ID"
_TEXT = "spaces, seeds, ranks, env id, provenance and dtypes, so give --env when reading; numbers keep every digit"

FORMATS: dict[str, DemoFormat] = {
    known.name: known
    for known in (
        DemoFormat("npz", ".npz", "", "ganq-irl's own: numpy arrays with a checksum, mapped when large"),
        DemoFormat("imitation-npz", "", "", "the .npz that earlier releases of imitation saved"),
        DemoFormat("arrays", ".arrays.npz", _EMPTY, "plain .npz: one array a field, one row a transition"),
        DemoFormat("parquet", ".parquet", _EMPTY, "Parquet: one row a transition", "pyarrow"),
        DemoFormat("csv", ".csv", f"{_EMPTY}; {_TEXT}", "CSV with a header: one row a transition", "pyarrow"),
        DemoFormat("d4rl", ".hdf5", _EMPTY, "HDF5 in D4RL's layout", "h5py", "hdf5"),
        DemoFormat("robomimic", ".robomimic.hdf5", _EMPTY, "HDF5 in robomimic's layout", "h5py", "hdf5", has_masks=True),
        DemoFormat("minari", ".minari", _EMPTY, _MINARI, "minari", "minari", is_folder=True),
        DemoFormat("lerobot", ".lerobot", _EMPTY, "a LeRobot dataset: its folder (numbers only)", "pyarrow", is_folder=True),
        DemoFormat("imitation", ".imitation", _NO_DICTS, "a folder saved by imitation", "pyarrow", is_folder=True),
        DemoFormat("replay-buffer", "", "", "a pickled buffer of Stable-Baselines3, with --trust"),
    )
}


def format_of(path: Path, name: str | None = None) -> DemoFormat:
    """Return the format called ``name``; by default the one that the content of ``path`` shows, or else its file extension.

    Raises:
        DemoFormatError: unknown format.
    """
    if name is not None:
        return named_format(name)
    recognized = next((known for known in FORMATS.values() if known.recognize(path)), None)
    return recognized or suffix_format(path)


def named_format(name: str) -> DemoFormat:
    """Return the format called ``name``.

    Raises:
        DemoFormatError: unknown format.
    """
    if name not in FORMATS:
        raise DemoFormatError(f"unknown format {name!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]


def suffix_format(path: Path) -> DemoFormat:
    """Return the format of the longest known extension of a file name (Minari for ``minari:ID``).

    Raises:
        DemoFormatError: unknown extension.
    """
    if str(path).startswith("minari:"):
        return FORMATS["minari"]
    fitting = [known for known in FORMATS.values() if known.suffix and path.name.lower().endswith(known.suffix)]
    if fitting:
        return max(fitting, key=lambda known: len(known.suffix))
    listed = ", ".join(f"*{known.suffix} ({known.name})" for known in FORMATS.values() if known.suffix)
    what = (
        "nothing in this folder says"
        if path.is_dir()
        else "neither content nor name says"
        if path.exists()
        else "its name does not say"
    )
    raise DemoFormatError(f"{path}: {what} what format it is; known: {listed}")
