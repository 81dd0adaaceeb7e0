"""File formats of demonstrations: one module and one line of ``FORMATS`` for each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ganq_irl.errors import ConfigurationError, DemoFormatError, nearest
from ganq_irl_demos.formats.limits import needed
from ganq_irl_demos.streams import EpisodeStream, Request


@dataclass(frozen=True)
class DemoFormat:
    """How demonstrations lie in a file or a folder.

    The module behind a format has ``recognize(path) -> bool``, which looks at content; ``read(path, request) ->
    EpisodeStream``, which raises ``DemoFormatError`` and never runs code from the file; and, unless ``suffix`` is empty,
    ``write(stream, path)``, which is atomic and holds no more than a block in memory. Modules are imported when used.

    Attributes:
        name: as given to ``--format``.
        suffix: ending of the names of its files; "" where it is read only.
        module: in this package.
        loses: what is not read back as it was written; "" where every bit is.
        description: one line of help.
        is_folder: whether it is a folder of files.
        package: what it is read and written with, or "".
        extra: extra of ganq-irl that brings the package; "" where it comes with ganq-irl.
        has_masks: whether its files name subsets of their episodes.
    """

    name: str
    suffix: str
    module: str
    loses: str
    description: str
    is_folder: bool = False
    package: str = ""
    extra: str = ""
    has_masks: bool = False

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.module}")

    def recognize(self, path: Path) -> bool:
        """Whether ``path`` has this format, by its content."""
        return bool(self._module.recognize(path))

    def read(self, path: Path, request: Request | None = None) -> EpisodeStream:
        """Look at a file and return its episodes, which are read when asked for.

        Raises:
            ConfigurationError: a mask is asked of a format that has none.
        """
        self._require_package()
        if request is not None and request.mask is not None and not self.has_masks:
            masked = ", ".join(name for name, known in FORMATS.items() if known.has_masks)
            raise ConfigurationError(f"{path} is of the format {self.name}, which has no masks; only {masked} has")
        stream: EpisodeStream = self._module.read(path, request or Request())
        return stream

    def write(self, stream: EpisodeStream, path: Path) -> None:
        """Write episodes, one by one, to a file that appears whole or not at all.

        Raises:
            DemoFormatError: the format is read only.
        """
        if not self.suffix:
            written = ", ".join(name for name, known in FORMATS.items() if known.suffix)
            raise DemoFormatError(f"{self.name} is read only; written are: {written}")
        self._require_package()
        self._module.write(stream, path)

    def _require_package(self) -> None:
        if self.package:
            needed(self.package, self.extra, f"the format {self.name}")


_EMPTY = "trajectories without transitions"
_TEXT = "spaces, seeds, env id, provenance and dtypes, so give --env when reading; numbers keep every digit"

FORMATS: dict[str, DemoFormat] = {
    known.name: known
    for known in (
        DemoFormat("npz", ".npz", "npz", "", "ganq-irl's own: numpy arrays with a checksum, mapped when large"),
        DemoFormat("imitation-npz", "", "imitation_npz", "", "the .npz that former releases of imitation saved"),
        DemoFormat("arrays", ".arrays.npz", "arrays", _EMPTY, "plain .npz: one array a field, one row a transition"),
        DemoFormat("parquet", ".parquet", "parquet", _EMPTY, "Parquet: one row a transition", False, "pyarrow"),
        DemoFormat("csv", ".csv", "csv", f"{_EMPTY}; {_TEXT}", "CSV with a header: one row a transition", False, "pyarrow"),
        DemoFormat("d4rl", ".hdf5", "d4rl", _EMPTY, "HDF5 as D4RL has it", False, "h5py", "hdf5"),
        DemoFormat(
            name="robomimic",
            suffix=".robomimic.hdf5",
            module="robomimic",
            loses=_EMPTY,
            description="HDF5 as robomimic has it",
            package="h5py",
            extra="hdf5",
            has_masks=True,
        ),
        DemoFormat(
            "minari", ".minari", "minari", _EMPTY, "a Minari data set: its folder, or minari:ID", True, "minari", "minari"
        ),
        DemoFormat(
            "lerobot", ".lerobot", "lerobot", _EMPTY, "a LeRobot data set: its folder (numbers only)", True, "pyarrow"
        ),
        DemoFormat(
            name="imitation",
            suffix=".imitation",
            module="imitation",
            loses=f"{_EMPTY}; Dict observations",
            description="a folder saved by imitation",
            is_folder=True,
            package="pyarrow",
        ),
        DemoFormat("replay-buffer", "", "replay_buffer", "", "a pickled buffer of Stable-Baselines3, with --trust"),
    )
}


def format_of(path: Path, name: str | None = None) -> DemoFormat:
    """The format called ``name``; else the one that the content of ``path`` shows; else the one its name stands for.

    Raises:
        DemoFormatError: no such format.
    """
    if name is not None:
        return named_format(name)
    recognized = next((known for known in FORMATS.values() if known.recognize(path)), None)
    return recognized or suffix_format(path)


def named_format(name: str) -> DemoFormat:
    """The format called ``name``.

    Raises:
        DemoFormatError: no such format.
    """
    if name not in FORMATS:
        raise DemoFormatError(f"unknown format {name!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]


def suffix_format(path: Path) -> DemoFormat:
    """The format that the longest known ending of a file's name stands for (``minari:ID`` is Minari's).

    Raises:
        DemoFormatError: no known ending.
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
