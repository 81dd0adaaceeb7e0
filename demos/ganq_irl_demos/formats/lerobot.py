"""LeRobot datasets (layouts v2 and v3): ``meta/info.json`` and Parquet files with one row per frame.

``observation.*`` and ``action`` become observations and actions; ``next.reward`` and ``next.done`` become rewards and ends.
Videos and images are skipped. LeRobot stores no observation after the last action, so that action is dropped, unless
ganq-irl wrote the dataset and stored ``next.observation.*`` as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, InvalidDemonstrations, nearest
from ganq_irl.files import replacing_folder
from ganq_irl_demos.formats.keys import check_keys, order_remark
from ganq_irl_demos.formats.limits import read_description
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.formats.parquet import open_parquet, read_blocks, write_rows
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import Block
from ganq_irl_demos.tables.reading import table_stream
from ganq_irl_demos.tables.writing import row_blocks

VERSION = "v3.0"
FPS = 30
"""Frame rate of written datasets. The format requires one, and environments do not have one."""

_NUMBERS = {np.dtype(code).name for code in f"?efd{np.typecodes['AllInteger']}"}
_FIELDS = {
    "action": "actions",
    "next.reward": "rewards",
    "next.done": "dones",
    "episode_index": "episode",
    "frame_index": "step",
    "timestamp": "timestamp",
}


def recognize(path: Path) -> bool:
    """Return whether a folder has LeRobot's description file."""
    return (path / "meta" / "info.json").is_file()


def read(path: Path, request: Request) -> EpisodeStream:
    """Read the numeric features, a block of rows at a time.

    A single feature ``observation.<name>`` becomes the observation. Several become a Dict, or one concatenated array if the
    environment has a Box; ``--columns observations=NAME[,NAME...]`` chooses among them.

    Raises:
        DemoFormatError: the dataset is damaged or has no numeric features.
    """
    info = read_description(path / "meta" / "info.json")
    features = info.get("features")
    if not isinstance(features, dict):
        raise DemoFormatError(f"{path / 'meta/info.json'} lists no features; layouts before v2.0 are not read")
    note = Note.from_json(info[KEY], str(path)) if isinstance(info.get(KEY), str) else None
    names, asked = _observations(features, request, path), "observations" in request.columns
    space = note.observation_space if note else request.observation_space
    joined = not (isinstance(space, spaces.Dict) if space is not None else len(names) > 1)
    found = {field: [name] for name, field in _FIELDS.items() if name in features}
    if "timestamp" in found and "step" not in found:
        found["step"] = found["timestamp"]
    for prefix, base in (("observation.", "observations"), ("next.observation.", "next_observations")):
        present = [prefix + name for name in names if prefix + name in features]
        if joined and present:
            found[base] = present
        else:
            found |= {f"{base}.{unquote(name.removeprefix(prefix))}": [name] for name in present}
    files = _files(path)
    if joined:
        check_keys({name: _shape(features, f"observation.{name}") for name in names}, space, str(path))
    stream = table_stream(lambda: read_blocks(files, found), request, str(path), note)
    order = [order_remark(names, "the order of meta/info.json")] if joined and len(names) > 1 and not asked else []
    return replace(stream, remarks=(*stream.remarks, *order, *_lost_frames(info, files)))


def _shape(features: dict[str, Any], name: str) -> tuple[int, ...]:
    shape = features[name].get("shape")
    return tuple(shape) if isinstance(shape, list) and all(isinstance(extent, int) for extent in shape) else (1,)


def _observations(features: dict[str, Any], request: Request, path: Path) -> list[str]:
    """Return the names of the numeric observations without their common prefix."""
    known = [
        name.removeprefix("observation.")
        for name, feature in features.items()
        if name.startswith("observation.") and isinstance(feature, dict) and feature.get("dtype") in _NUMBERS
    ]
    asked = [name.removeprefix("observation.") for name in request.columns.get("observations", ())] or known
    for name in asked:
        if name not in known:
            raise ConfigurationError(f"{path}: no numeric observation is called {name!r}; {nearest(name, known)}")
    if not asked:
        raise DemoFormatError(
            f"{path}: its only observations are images or videos, which are not read; features: {', '.join(features)}"
        )
    return asked


def _files(path: Path) -> list[Path]:
    """Return the data files in order. The path template in the description is ignored, since it could point anywhere."""
    files = sorted(path.glob("data/**/*.parquet"))
    if not files:
        raise DemoFormatError(f"{path} holds no data/**/*.parquet")
    return files


def _lost_frames(info: dict[str, Any], files: list[Path]) -> Iterator[str]:
    promised = info.get("total_frames")
    if isinstance(promised, int) and promised != (frames := sum(open_parquet(file)[0].metadata.num_rows for file in files)):
        yield f"its files hold {frames} frames, but meta/info.json lists {promised}; was it copied only in part?"


def write(stream: EpisodeStream, path: Path) -> None:
    """Write layout v3.0, with our note in ``meta/info.json``.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions or is malformed, or actions or their order are missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if stream.missing:
        raise InvalidDemonstrations(f"{stream.source} lacks {', '.join(stream.missing)}, which LeRobot requires")
    note = Note.of(stream)
    features: dict[str, Any] = {}
    lengths: list[int] = []
    statistics: dict[str, _Statistics] = {}

    def blocks() -> Iterator[Block]:
        for block in row_blocks(stream, note):
            frames = _frames(block, lengths)
            for name, array in frames.items():
                shape = list(array.shape[1:]) or [1]
                features.setdefault(name, {"dtype": str(array.dtype), "shape": shape, "names": None})
                statistics.setdefault(name, _Statistics()).add(array)
            yield frames

    with replacing_folder(path) as scratch:
        for folder in ("data/chunk-000", "meta/episodes/chunk-000"):
            (scratch / folder).mkdir(parents=True)
        write_rows(scratch / "data/chunk-000/file-000.parquet", blocks(), Note.of(stream))
        pq.write_table(pa.table(_episode_table(lengths)), scratch / "meta/episodes/chunk-000/file-000.parquet")
        tasks = pa.table({"task_index": [0], "task": [stream.env_id or "demonstrations"]})
        pq.write_table(tasks, scratch / "meta/tasks.parquet")
        described = {name: found.to_json() for name, found in statistics.items()}
        (scratch / "meta/stats.json").write_text(json.dumps(described), encoding="utf-8")
        info = _description(lengths, features)
        (scratch / "meta/info.json").write_text(json.dumps({**info, KEY: note.to_json()}, indent=2), encoding="utf-8")


def _frames(block: Block, lengths: list[int]) -> Block:
    """Rename a block to LeRobot's names, and update ``lengths``, whose last episode may be unfinished."""
    episodes = block["episode"]
    before = sum(lengths)
    frames: Block = {}
    for field, array in block.items():
        base, _, key = field.partition(".")
        name = quote(key, safe="").replace(".", "%2E") or "state"
        if base in ("observations", "next_observations"):
            frames[f"{'next.' if base.startswith('next') else ''}observation.{name}"] = array
    frames |= {"action": block["actions"], "next.reward": block["rewards"]}
    frames["next.done"] = block["terminated"] | block["truncated"]
    counts = np.bincount(episodes - episodes[0])
    lengths += counts.tolist()
    index = np.concatenate([np.arange(count) for count in counts])
    frames |= {"timestamp": (index / FPS).astype(np.float32), "frame_index": index, "episode_index": episodes}
    return {**frames, "index": np.arange(before, before + len(episodes)), "task_index": np.zeros(len(episodes), np.int64)}


class _Statistics:
    """Minimum, maximum, mean and standard deviation of each dimension, for ``meta/stats.json``."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[np.ndarray] = []
        self.low, self.high = np.array(np.inf), np.array(-np.inf)

    def add(self, array: np.ndarray) -> None:
        rows = array.astype(np.float64)
        self.count += len(rows)
        moments = [rows.sum(axis=0), (rows**2).sum(axis=0)]
        self.sums = [a + b for a, b in zip(self.sums, moments, strict=True)] if self.sums else moments
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))

    def to_json(self) -> dict[str, Any]:
        mean = self.sums[0] / self.count
        deviation = np.sqrt(np.maximum(self.sums[1] / self.count - mean**2, 0))
        values = {"min": self.low, "max": self.high, "mean": mean, "std": deviation}
        listed = {name: np.nan_to_num(np.atleast_1d(value)).tolist() for name, value in values.items()}
        return {**listed, "count": [self.count]}


def _episode_table(lengths: list[int]) -> dict[str, Any]:
    ends = np.cumsum(np.array(lengths, np.int64))
    zeros = np.zeros(len(lengths), np.int64)
    return {
        "episode_index": np.arange(len(lengths)),
        "data/chunk_index": zeros,
        "data/file_index": zeros,
        "dataset_from_index": ends - lengths if lengths else zeros,
        "dataset_to_index": ends,
        "length": np.array(lengths, np.int64),
    }


def _description(lengths: list[int], features: dict[str, Any]) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": 1,
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": f"0:{len(lengths)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "features": features,
    }
