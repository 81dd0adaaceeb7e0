"""robomimic's HDF5: ``data/demo_<i>`` with ``obs/<key>``, ``next_obs/<key>``, ``actions``, ``rewards`` and ``dones``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, nearest
from ganq_irl_demos.formats.hdf5 import (
    check_room,
    group,
    is_hdf5,
    member,
    numbers,
    opened,
    read_note,
    text_attribute,
    top_names,
)
from ganq_irl_demos.formats.hdf5_writing import replacing_hdf5
from ganq_irl_demos.formats.keys import check_keys, order_remark
from ganq_irl_demos.formats.limits import env_id_in
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import Block
from ganq_irl_demos.tables.reading import table_stream
from ganq_irl_demos.tables.writing import rows_of, sound_episodes

MAX_DEMOS, MAX_NAME = 1 << 16, 1 << 10
"""Maximum number of names in a mask, and of bytes in a name."""

FLAT = "flat"
"""robomimic's key for observations that are not a Dict."""


def recognize(path: Path) -> bool:
    """Return whether an HDF5 file has episodes under ``data``."""
    if not is_hdf5(path) or "data" not in top_names(path):
        return False
    with opened(path) as file:
        return any(name.startswith("demo") for name in group(file, "data", path))


def read(path: Path, request: Request) -> EpisodeStream:
    """Read one episode at a time.

    Several keys become a Dict observation, and a single key one array. If the environment has a Box, keys are concatenated.
    ``--columns observations=...`` chooses them; a mask chooses demos. ``states`` and models are not read.

    Raises:
        MissingDependency: h5py is not installed.
        ConfigurationError: an unknown mask.
        DemoFormatError: the file is damaged, holds objects or links, or lacks a key or a demo that the mask names.
    """
    with opened(path) as file:
        data = group(file, "data", path)
        known = sorted((name for name in data if name.startswith("demo")), key=_natural)
        masks = read_masks(file, path)
        names = _chosen(known, masks, request.mask, path)
        note = read_note(file, path)
        if note is not None and request.mask is not None:
            note = note.of_some([known.index(name) for name in names])
        space = note.observation_space if note else request.observation_space
        keys = _keys(group(data, names[0], path), request, path) if names else []
        joined = not _is_dict(space, keys)
        if joined and names:
            shapes = {key: numbers(group(group(data, names[0], path), "obs", path), key, path).shape[1:] for key in keys}
            check_keys(shapes, space, str(path))
        named = env_id_in(text_attribute(data, "env_args"), "env_name")
        env_id = request.env_id or (named if named in gym.registry else None)  # other names are robosuite's
        remarks = [] if request.mask else list(_mask_remarks(known, masks))
        remarks += _count_remarks(data, known, path)
    if joined and len(keys) > 1 and "observations" not in request.columns:
        remarks.append(order_remark(keys, "alphabetical"))

    def blocks() -> Iterator[Block]:
        with opened(path) as file:
            data = group(file, "data", path)
            for index, name in enumerate(names):
                yield _episode(group(data, name, path), keys, joined, index, path)

    stream = table_stream(blocks, replace(request, env_id=env_id), str(path), note)
    provenance = stream.provenance | ({"mask": request.mask} if request.mask else {})
    return replace(stream, provenance=provenance, remarks=(*stream.remarks, *remarks))


def _chosen(known: list[str], masks: dict[str, list[str]], mask: str | None, path: Path) -> list[str]:
    """Return the demos that a mask names, in the order of the file; all of them without a mask."""
    if mask is None:
        return known
    if mask not in masks:
        raise ConfigurationError(
            f"{path}: no mask is called {mask!r}; {nearest(mask, masks) if masks else 'it has no masks'}"
        )
    if lacking := sorted(set(masks[mask]) - set(known), key=_natural):
        raise DemoFormatError(
            f"{path}: mask/{mask} names {', '.join(lacking[:3])}, which the file lacks ({len(lacking)} demos); was it "
            "copied only in part?"
        )
    return [name for name in known if name in set(masks[mask])]


def _mask_remarks(known: list[str], masks: dict[str, list[str]]) -> Iterator[str]:
    if masks:
        listed = ", ".join(f"{name} ({len(demos)})" for name, demos in masks.items())
        yield f"all {len(known)} demos were read; its masks choose some: {listed}; take one with --mask NAME or FILE#NAME"
    for name, demos in masks.items():
        if lacking := sorted(set(demos) - set(known), key=_natural):
            yield f"mask/{name} names {', '.join(lacking[:3])}, which the file lacks ({len(lacking)} demos)"


def _count_remarks(data: Any, known: list[str], path: Path) -> Iterator[str]:
    """Yield remarks if the numbering of the demos or their numbers of rows show that some are lost."""
    numbered = [int(number[0]) for name in known if (number := re.search(r"[0-9]{1,18}$", name))]
    if numbered and (lost := sorted(set(range(min(numbered[-1], 1_000_000))) - set(numbered))):
        yield f"its demos are numbered up to {numbered[-1]}, but {len(lost)} are missing, the first one is demo_{lost[0]}"
    for name in known:
        demo = group(data, name, path)
        rows, promised = len(numbers(demo, "actions", path)) if "actions" in demo else None, demo.attrs.get("num_samples")
        if rows is not None and isinstance(promised, int | np.integer) and promised != rows:
            yield f"{name} declares {promised} rows, but holds {rows}; was it truncated?"
            return


def read_masks(file: Any, path: Path) -> dict[str, list[str]]:
    """Return the names of the demos that each mask chooses.

    Raises:
        DemoFormatError: a mask is not a list of names, or too large.
    """
    import h5py

    if "mask" not in file:
        return {}
    masks = {}
    for name in (folder := group(file, "mask", path)):
        found = member(folder, name, path)
        texts = isinstance(found, h5py.Dataset) and found.ndim == 1 and h5py.check_string_dtype(found.dtype) is not None
        if not texts or found.size > MAX_DEMOS or found.dtype.itemsize > MAX_NAME or found.external or found.is_virtual:
            raise DemoFormatError(f"{path}: mask/{name} is not a list of demo names; copy or write the file again")
        masks[name] = [_demo_name(found[index], name, path) for index in range(found.size)]  # one by one: each may be huge
    return masks


def _demo_name(value: Any, mask: str, path: Path) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if len(text) > MAX_NAME:
        raise DemoFormatError(f"{path}: mask/{mask} names a demo with {len(text)} characters; copy or write the file again")
    return text


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


def _episode(demo: Any, keys: list[str], joined: bool, index: int, path: Path) -> Block:
    stored = {
        (folder, key): numbers(group(demo, folder, path), key, path)
        for folder in ("obs", "next_obs")
        if folder in demo
        for key in keys
    }
    stored |= {(field, ""): numbers(demo, field, path) for field in ("actions", "rewards", "dones") if field in demo}
    check_room(stored.values(), path)
    block: Block = {}
    for field, folder in (("observations", "obs"), ("next_observations", "next_obs")):
        if folder not in demo:
            continue
        parts = {key: stored[folder, key][()] for key in keys}
        if joined and len(parts) > 1:
            parts = {FLAT: np.concatenate([part.reshape(len(part), -1) for part in parts.values()], axis=1)}
        block |= {field if joined else f"{field}.{unquote(key)}": part for key, part in parts.items()}
    for field in ("actions", "rewards", "dones"):
        if field in demo:
            block[field] = stored[field, ""][()]
    rows = {len(array) if array.ndim else 0 for array in block.values()}
    if len(rows) != 1:
        raise DemoFormatError(f"{path}: {demo.name} has fields of {sorted(rows)} rows; expected one row per transition")
    return {**block, "episode": np.full(rows.pop(), index, np.int64)}


def write(stream: EpisodeStream, path: Path) -> None:
    """Write one group per episode, and everything else into the dataset ``ganq_irl``.

    Raises:
        MissingDependency: h5py is not installed.
        InvalidDemonstrations: a trajectory has no transitions or is malformed.
    """
    note = Note.of(stream)
    with replacing_hdf5(path) as (file, disk):
        data = file.create_group("data", track_order=True)
        total = 0
        for index, trajectory in disk.until_failure(sound_episodes(stream)):
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
