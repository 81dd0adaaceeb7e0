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

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations, ReadLimitExceeded
from ganq_irl.files import replacing_folder
from ganq_irl.parsing import parse_json
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.arrow_files import require_uncompressed
from ganq_irl_demos.formats.limits import brief, counted_episodes
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.formats.parquet import open_parquet
from ganq_irl_demos.imitation_types import horizon_of
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.guessing import guess_spaces
from ganq_irl_demos.tables.writing import sound_episodes
from ganq_irl_demos.trajectories import Trajectory, fit

_DESCRIPTION, _STATE = "dataset_info.json", "state.json"
_COLUMNS = ("obs", "acts", "terminal", "rews")
_NEEDED = {"obs", "acts", "terminal"}
MAX_DESCRIPTION = 256 << 20
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
    env_id = note.env_id if note else request.env_id
    horizon = horizon_of(env_id)

    def raw() -> Iterator[Trajectory]:
        for row, record in enumerate(_parquet_rows(path, names) if table is None else _rows(table)):
            try:
                cells = {name: _array(record[name]) for name in ("obs", "acts", "rews") if name in names}
                whole = bool(record["terminal"].as_py())
            except (AttributeError, ValueError, TypeError, OSError, NotImplementedError) as error:
                raise DemoFormatError(f"{path}: row {row} does not hold arrays of numbers ({brief(error)})") from error
            cut = not whole or len(cells["acts"]) == horizon
            yield Trajectory(cells["obs"], cells["acts"], cells.get("rews"), terminated=not cut, truncated=cut)

    def passed() -> Iterator[Trajectory]:
        return counted_episodes(raw(), str(path))

    spaces = (note.observation_space, note.action_space) if note else guess_spaces(passed, request, str(path))

    def episodes() -> Iterator[Trajectory]:
        trajectories = (fit(trajectory, *spaces) for trajectory in passed())
        return note.restored(trajectories, str(path)) if note else trajectories

    return EpisodeStream(
        episodes=episodes,
        observation_space=spaces[0],
        action_space=spaces[1],
        env_id=env_id,
        provenance=note.provenance if note else {"imitation": str(path)},
        source=str(path),
        missing=note.missing if note else (),
        guessed=note is None and (request.observation_space is None or request.action_space is None),
    )


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    """Yield rows as a cell for each column."""
    for row in range(len(table)):
        yield {name: table.column(name)[row] for name in table.column_names}


def _parquet_rows(path: Path, names: set[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    for file in _parquet_files(path):
        opened, _ = open_parquet(file)
        try:
            for batch in opened.iter_batches(EPISODES_AT_ONCE, columns=sorted(names)):
                yield from _rows(pa.table(batch))
        except (pa.ArrowException, OSError) as error:
            raise DemoFormatError(f"{file} is truncated or altered ({brief(error)}); fetch the dataset again") from error


def _table(path: Path) -> Any:
    """Return all rows as one table that is memory-mapped from its files; the infos stay untouched."""
    import pyarrow as pa

    files = sorted(path.glob("*.arrow"))
    if not files:
        raise DemoFormatError(f"{path} holds no .arrow files; copy the dataset again")
    try:
        return pa.concat_tables([_mapped(file) for file in files])
    except pa.ArrowException as error:
        raise DemoFormatError(f"{path}: its files do not fit together ({brief(error)})") from error


def _mapped(file: Path) -> Any:
    import pyarrow as pa

    try:
        require_uncompressed(file)
        with pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_stream(source)
            columns = [name for name in _COLUMNS if name in reader.schema.names]
            table = reader.read_all().select(columns)
            table.validate(full=True)  # lengths and offsets that point outside the file would crash the process
            return table
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        if isinstance(error, DemoFormatError):
            raise
        raise DemoFormatError(f"{file} is truncated or altered ({brief(error)}); copy the dataset again") from error


def _array(cell: Any) -> np.ndarray:
    """Convert a cell of nested lists of numbers to one array."""
    import pyarrow as pa

    values, shape = cell.values, [len(cell.values)]
    nulls = values.null_count
    while pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type) or pa.types.is_large_list(values.type):
        rows, values = len(values), values.flatten()
        nulls += values.null_count
        if rows and len(values) % rows:
            raise ValueError("lists of different lengths")
        shape.append(len(values) // max(rows, 1))
    if nulls:
        raise ValueError(f"{nulls} missing values")
    array = values.to_numpy(zero_copy_only=False)
    if array.dtype.kind not in NUMERIC:
        raise ValueError(f"{values.type} values")
    return array.reshape(shape)


def _read_note(path: Path) -> Note | None:
    file = path / _DESCRIPTION
    if file.stat().st_size > MAX_DESCRIPTION:
        raise DemoFormatError(f"{file} has {file.stat().st_size} bytes, too many for a file of this kind")
    try:
        description = parse_json(file.read_text(encoding="utf-8"), file)
        text = description.get("description") or ""
    except ReadLimitExceeded:
        raise
    except (ValueError, AttributeError, RecursionError) as error:
        raise DemoFormatError(f"{file} was not written by datasets ({brief(error)}); copy the dataset again") from error
    prefix = f"{KEY}: "
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
