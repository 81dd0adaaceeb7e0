"""HDF5 as robomimic has it: ``data/demo_<i>``, ``obs/<key>``, ``next_obs/<key>``, ``actions``, ``rewards``, ``dones``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.errors import DemoFormatError, nearest
from ganq_irl.files import replacing_file
from ganq_irl_demos.formats.cutting import Block
from ganq_irl_demos.formats.hdf5 import group, is_hdf5, numbers, opened, read_note, text_attribute, top_names
from ganq_irl_demos.formats.limits import needed
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.formats.tables import rows_of, sound_episodes, table_stream
from ganq_irl_demos.streams import EpisodeStream, Request

FLAT = "flat"
"""Key of observations that are no Dict, as robomimic calls them."""


def recognise(path: Path) -> bool:
    """Whether an HDF5 file has episodes under ``data``."""
    if not is_hdf5(path) or "data" not in top_names(path):
        return False
    with opened(path) as file:
        return any(name.startswith("demo") for name in group(file, "data", path))


def read(path: Path, request: Request) -> EpisodeStream:
    """Read one episode at a time.

    Observations become a Dict of the keys; one array where there is one key, or where the environment has one (the keys that
    ``--columns observations=...`` names, or all, end to end). ``states`` and models are not read.

    Raises:
        MissingDependency: h5py is not installed.
        DemoFormatError: damaged, objects or links, or a key that is not there.
    """
    with opened(path) as file:
        data = group(file, "data", path)
        names = sorted((name for name in data if name.startswith("demo")), key=_natural)
        note = read_note(file, path)
        keys = _keys(group(data, names[0], path), request, path) if names else []
        env_id = request.env_id or _env_id(text_attribute(data, "env_args"))
    joined = not _is_dict(note.observation_space if note else request.observation_space, keys)

    def blocks() -> Iterator[Block]:
        with opened(path) as file:
            data = group(file, "data", path)
            for index, name in enumerate(names):
                yield _episode(group(data, name, path), keys, joined, index, path)

    told = Request(request.observation_space, request.action_space, env_id)
    return table_stream(blocks, told, str(path), note)


def _natural(name: str) -> tuple[int, str]:
    number = re.search(r"[0-9]{1,18}$", name)
    return (int(number[0]) if number else -1, name)


def _keys(demo: Any, request: Request, path: Path) -> list[str]:
    known = list(group(demo, "obs", path))
    asked = request.columns.get("observations", tuple(known))
    for key in asked:
        if key not in known:
            raise DemoFormatError(f"{path}: no observation is called {key!r}; {nearest(key, known)}")
    return list(asked)


def _is_dict(space: spaces.Space | None, keys: list[str]) -> bool:
    return isinstance(space, spaces.Dict) if space is not None else len(keys) > 1


def _env_id(text: str | None) -> str | None:
    try:
        name = json.loads(text or "{}").get("env_name")
    except (ValueError, RecursionError, AttributeError):
        return None
    return name if isinstance(name, str) and name in gym.registry else None  # others are names of robosuite's


def _episode(demo: Any, keys: list[str], joined: bool, index: int, path: Path) -> Block:
    block: Block = {}
    for field, folder in (("observations", "obs"), ("next_observations", "next_obs")):
        if folder not in demo:
            continue
        parts = {key: numbers(group(demo, folder, path), key, path)[()] for key in keys}
        if joined and len(parts) > 1:
            parts = {FLAT: np.concatenate([part.reshape(len(part), -1) for part in parts.values()], axis=1)}
        block |= {field if joined else f"{field}.{unquote(key)}": part for key, part in parts.items()}
    for field in ("actions", "rewards", "dones"):
        if field in demo:
            block[field] = numbers(demo, field, path)[()]
    rows = {len(array) if array.ndim else 0 for array in block.values()}
    if len(rows) != 1:
        raise DemoFormatError(f"{path}: {demo.name} has fields of {sorted(rows)} rows; expected one row for each transition")
    return {**block, "episode": np.full(rows.pop(), index, np.int64)}


def write(stream: EpisodeStream, path: Path) -> None:
    """Write one group an episode, and what groups cannot say in the data set ``ganq_irl``.

    Raises:
        MissingDependency: h5py is not installed.
        InvalidDemonstrations: a trajectory without transitions, or not sound.
    """
    h5py = needed("h5py", "hdf5", "writing HDF5")
    note = Note.of(stream)
    with replacing_file(path) as scratch, h5py.File(scratch, "w") as file:
        data = file.create_group("data", track_order=True)
        total = 0
        for index, trajectory in sound_episodes(stream):
            demo = data.create_group(f"demo_{index}")
            for field, array in rows_of(trajectory, index, stream).items():
                if (place := _place(field)) is not None:
                    demo[place] = array
            demo["dones"] = (np.arange(len(trajectory)) == len(trajectory) - 1).astype(np.int64) * trajectory.terminated
            demo.attrs["num_samples"] = len(trajectory)
            total += len(trajectory)
            note.add(trajectory)
        data.attrs["total"] = total
        data.attrs["env_args"] = json.dumps({"env_name": stream.env_id or "", "env_type": 2, "env_kwargs": {}})  # 2: Gym
        file.create_dataset(KEY, data=np.frombuffer(note.to_json().encode(), np.uint8))


def _place(field: str) -> str | None:
    base, _, key = field.partition(".")
    folder = {"observations": "obs", "next_observations": "next_obs"}.get(base)
    if folder is not None:
        return f"{folder}/{quote(key, safe='').replace('.', '%2E') or FLAT}"
    return field if field in ("actions", "rewards") else None
