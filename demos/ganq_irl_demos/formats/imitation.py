"""Folders that the imitation library writes with ``datasets``: one row per episode, ``obs acts infos terminal [rews]``.

They hold Arrow files when saved to disk, and Parquet files when downloaded from the Hugging Face hub.

The infos are jsonpickled, and decoding them can run code. They are neither decoded nor read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Dict

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations
from ganq_irl.files import replacing_folder
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.arrow_files import require_uncompressed
from ganq_irl_demos.formats.limits import counted_episodes, read_description, reading
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.formats.parquet import open_parquet, require_values, to_numpy
from ganq_irl_demos.imitation_types import horizon_of
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.guessing import guess_spaces
from ganq_irl_demos.tables.writing import sound_episodes
from ganq_irl_demos.trajectories import Trajectory, fit

_DESCRIPTION, _STATE = "dataset_info.json", "state.json"
_COLUMNS = ("obs", "acts", "terminal", "rews")
_NEEDED = {"obs", "acts", "terminal"}
EPISODES_AT_ONCE = 32


def recognize(path: Path) -> bool:
    """Return whether a folder was saved by ``datasets``, or holds Parquet files with imitation's columns."""
    return _is_saved(path) or _parquet_columns(path) >= _NEEDED


def _is_saved(path: Path) -> bool:
    return (path / _DESCRIPTION).is_file() and (path / _STATE).is_file()


def _parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files of a folder laid out as on the hub; only those of the split ``train`` if splits are named."""
    files = sorted(path.glob("data/*.parquet")) or sorted(path.glob("*.parquet"))
    return [file for file in files if file.name.startswith("train")] or files


def _parquet_columns(path: Path) -> set[str]:
    files = _parquet_files(path) if path.is_dir() else []
    try:
        return set(open_parquet(files[0])[0].schema_arrow.names) if files else set()
    except (DemoFormatError, ImportError):
        return set()


def read(path: Path, request: Request) -> EpisodeStream:
    """Read one episode at a time from the files.

    ``terminal`` marks a complete episode. A complete episode counts as truncated if its length equals the environment's time
    limit, and as terminated otherwise. An incomplete episode counts as truncated.

    Raises:
        DemoFormatError: the files are damaged, or were not written by imitation.
    """
    saved = _is_saved(path)
    note = _read_note(path) if saved else None
    table = _table(path) if saved else None
    names = set(_COLUMNS).intersection(_parquet_columns(path) if table is None else table.column_names)
    if not names >= _NEEDED:
        raise DemoFormatError(
            f"{path} has columns {sorted(names)}, expected obs, acts and terminal as imitation writes them"
        )
    horizon = horizon_of(note.env_id if note else request.env_id)

    def raw() -> Iterator[Trajectory]:
        for row, record in enumerate(_parquet_rows(path, names) if table is None else _rows(table)):
            place = f"{path}: row {row}"
            with reading(place, "does not hold arrays of numbers"):
                cells = {name: _array(record[name], name, place) for name in ("obs", "acts", "rews") if name in names}
                whole = bool(record["terminal"].as_py())
            cut = not whole or len(cells["acts"]) == horizon
            yield Trajectory(cells["obs"], cells["acts"], cells.get("rews"), terminated=not cut, truncated=cut)

    def passed() -> Iterator[Trajectory]:
        return counted_episodes(raw(), str(path))

    spaces = (note.observation_space, note.action_space) if note else guess_spaces(passed, request, str(path))

    def episodes() -> Iterator[Trajectory]:
        return (fit(trajectory, *spaces) for trajectory in passed())

    if note:
        return note.stream(episodes, str(path))
    return EpisodeStream(
        episodes=episodes,
        observation_space=spaces[0],
        action_space=spaces[1],
        env_id=request.env_id,
        provenance={"imitation": str(path)},
        source=str(path),
        guessed=not request.has_spaces,
    )


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    """Yield rows as a cell for each column."""
    for row in range(len(table)):
        yield {name: table.column(name)[row] for name in table.column_names}


def _parquet_rows(path: Path, names: set[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    for file in _parquet_files(path):
        opened, _ = open_parquet(file)
        with reading(file):
            for batch in opened.iter_batches(EPISODES_AT_ONCE, columns=sorted(names)):
                yield from _rows(pa.table(batch))


def _table(path: Path) -> Any:
    """Return all rows as one table that is memory-mapped from its files; the infos stay untouched."""
    import pyarrow as pa

    files = sorted(path.glob("*.arrow"))
    if not files:
        raise DemoFormatError(f"{path} holds no .arrow files; copy the dataset again")
    with reading(path, "holds files that do not fit together"):
        return pa.concat_tables([_mapped(file) for file in files])


def _mapped(file: Path) -> Any:
    import pyarrow as pa

    with reading(file):
        require_uncompressed(file)
        with pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_stream(source)
            columns = [name for name in _COLUMNS if name in reader.schema.names]
            table = reader.read_all().select(columns)
            table.validate(full=True)  # lengths and offsets that point outside the file would crash the process
            return table


def _array(cell: Any, name: str, source: str) -> np.ndarray:
    """Convert a cell of nested lists of numbers to one array."""
    import pyarrow as pa

    values = cell.values
    require_values(values, name, source)
    array = to_numpy(values, pa.field(name, values.type), source)
    if array.dtype.kind not in NUMERIC:
        raise ValueError(f"{values.type} values")
    return array


def _read_note(path: Path) -> Note | None:
    text, prefix = read_description(path / _DESCRIPTION).get("description"), f"{KEY}: "
    return (
        Note.from_json(text.removeprefix(prefix), str(path)) if isinstance(text, str) and text.startswith(prefix) else None
    )


def write(stream: EpisodeStream, path: Path) -> None:
    """Write a folder that ``imitation.data.serialize.load`` reads, with our note in its description.

    Raises:
        InvalidDemonstrations: observations are a Dict, a trajectory has no transitions or is malformed, or actions or their
            order are missing.
    """
    if stream.missing or isinstance(stream.observation_space, Dict):
        lacking = f"lacks {', '.join(stream.missing)}" if stream.missing else "has Dict observations"
        raise InvalidDemonstrations(f"{stream.source} {lacking}, which imitation's files cannot store; write npz")
    note = Note.of(stream)
    rewarded = any(trajectory.rewards is not None for trajectory in stream.episodes())

    def rows() -> Iterator[dict[str, Any]]:
        for _, trajectory in sound_episodes(stream):
            note.add(trajectory)
            yield _row(trajectory, rewarded)

    with replacing_folder(path) as scratch:
        _save(rows(), scratch)
        description = json.loads((scratch / _DESCRIPTION).read_text(encoding="utf-8"))
        description["description"] = f"{KEY}: {note.to_json()}"
        (scratch / _DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


def _row(trajectory: Trajectory, rewarded: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "obs": trajectory.observations,
        "acts": trajectory.actions,
        "infos": ["{}"] * len(trajectory),
        "terminal": trajectory.terminated or trajectory.truncated,
    }
    if rewarded:
        row["rews"] = np.full(len(trajectory), np.nan) if trajectory.rewards is None else trajectory.rewards
    return row


def _save(rows: Iterator[dict[str, Any]], folder: Path) -> None:
    """Write rows a few at a time, in the layout of ``datasets``."""
    import datasets
    from datasets.arrow_writer import ArrowWriter

    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:  # datasets cannot overwrite a file that it has open
        file = str(Path(scratch) / "rows.arrow")
        with ArrowWriter(path=file, writer_batch_size=EPISODES_AT_ONCE) as writer:
            for row in rows:
                writer.write(row)
            writer.finalize()
        datasets.Dataset.from_file(file).save_to_disk(str(folder))
