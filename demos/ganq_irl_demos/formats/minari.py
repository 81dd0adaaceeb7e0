"""Minari datasets: a folder with ``data/metadata.json`` beside HDF5, Arrow or Parquet files, in Minari's store or elsewhere.

Minari itself reads and writes the episodes. We pass it the spaces. Otherwise it would make the environment that the
metadata name, which could run any code.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, InvalidDemonstrations, needed
from ganq_irl.files import replacing_folder, require_plain
from ganq_irl.parsing import parse_json
from ganq_irl_demos.formats.arrow_files import require_uncompressed
from ganq_irl_demos.formats.hdf5 import check_room, group, member, numbers, opened
from ganq_irl_demos.formats.hdf5_writing import deferred_error_file
from ganq_irl_demos.formats.limits import COPIES, brief, check_size, counted_episodes, env_id_in, read_description, reading
from ganq_irl_demos.formats.minari_spaces import choose, chosen_space, chosen_values, is_supported, leaves
from ganq_irl_demos.formats.notes import KEY, Note
from ganq_irl_demos.formats.parquet import open_parquet
from ganq_irl_demos.headers import bound_size
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import Block, Rules
from ganq_irl_demos.tables.survey import survey
from ganq_irl_demos.tables.writing import sound_episodes
from ganq_irl_demos.trajectories import Observations, Trajectory, fit, named_arrays, named_spaces

PREFIX = "minari:"
"""Prefix of the ID of a dataset in Minari's local store."""

METADATA, EPISODES = "metadata.json", "main_data.hdf5"
_TEXT_BYTES = 128
_DECODED = 16  # size of an Arrow byte as a Python object, in bytes


def recognize(path: Path) -> bool:
    """Return whether a path is the ID of a stored dataset, or a folder with Minari's metadata."""
    return str(path).startswith(PREFIX) or _data_folder(path) is not None


def _data_folder(path: Path) -> Path | None:
    """Return the folder with the metadata: the path itself, its ``data``, or the parent of an episode file."""
    beside = (path.parent,) if path.name == EPISODES and path.is_file() else ()
    return next((folder for folder in (path, path / "data", *beside) if (folder / METADATA).is_file()), None)


def _stored(path: Path, download: bool) -> Path:
    """Return the folder of a dataset by its ID."""
    if not str(path).startswith(PREFIX):
        return path
    name = str(path).removeprefix(PREFIX)
    minari = needed("minari", "minari", "reading Minari datasets")
    from minari.storage.datasets_root_dir import get_dataset_path

    folder = get_dataset_path(_checked_id(name))
    if not folder.is_dir() and not download:
        raise DemoFormatError(
            f"{name} is not in Minari's store at {folder.parent}; fetch it: ganq-irl demos import {path} --download"
        )
    if not folder.is_dir():
        try:
            minari.download_dataset(name)
        except Exception as error:  # any error of the network, the hub or Minari
            raise DemoFormatError(f"{name} cannot be downloaded ({brief(error)})") from error
    return require_plain(folder)


def _checked_id(name: str) -> str:
    if not re.fullmatch(r"[-_\w]+(/[-_\w]+)*-v[0-9]+", name):
        raise ConfigurationError(f"{name!r} is not the ID of a Minari dataset; expected [namespace/]name-v0")
    return name


def read(path: Path, request: Request) -> EpisodeStream:
    """Read one episode at a time.

    ``--columns observations=KEY[,KEY...]`` chooses keys of a Dict; a single key gives plain observations instead of a Dict.

    Raises:
        ConfigurationError: an unknown key.
        MissingDependency: minari, or the package that reads its files, is not installed.
        DemoFormatError: the dataset is damaged, has no spaces, or holds objects or links.
    """
    needed("minari", "minari", "reading Minari datasets")
    folder = _data_folder(_stored(path, request.download))
    if folder is None:
        raise DemoFormatError(f"{path} holds no {METADATA}; give the folder of a Minari dataset")
    metadata = _metadata(folder)
    stored, action_space = (_space(metadata, key, folder) for key in ("observation_space", "action_space"))
    asked = request.columns.get("observations", ())
    chosen = choose(stored, asked, str(path))
    observation_space = chosen_space(stored, chosen)
    if not is_supported(action_space):
        raise DemoFormatError(f"{path}: its actions are {str(action_space)[:160]}, and only plain numbers are supported")
    note = Note.from_json(metadata[KEY], str(path)) if isinstance(metadata.get(KEY), str) else None
    if note and asked:
        note = replace(note, observation_space=observation_space)
    count = metadata.get("total_episodes")
    if not isinstance(count, int) or count < 0:
        raise DemoFormatError(f"{folder / METADATA}: total_episodes is {count!r}, expected a number")
    storage = _storage(metadata, folder, stored, action_space)
    if metadata["data_format"] == "hdf5":
        _look_over(folder / EPISODES, count, storage)
    else:
        _look_over_tables(folder)

    remarks = survey(_flags(folder, count, storage, metadata["data_format"]), Rules(), str(path)).remarks(noted=bool(note))

    def episodes() -> Iterator[Trajectory]:
        found = counted_episodes(_episodes(storage, count, chosen, folder), str(folder))
        return (fit(one, observation_space, action_space) for one in found)

    if note:
        return note.stream(episodes, str(path), remarks)
    return EpisodeStream(
        episodes=episodes,
        observation_space=observation_space,
        action_space=action_space,
        env_id=env_id_in(metadata.get("env_spec"), "id") or request.env_id,
        provenance={"minari": str(metadata.get("dataset_id"))},
        source=str(path),
        remarks=tuple(remarks),
    )


def _flags(folder: Path, count: int, storage: Any, kind: str) -> Iterator[Block]:
    """Yield the end flags of each episode as a block."""
    names = {"terminated": "terminations", "truncated": "truncations"}
    with opened(folder / EPISODES) if kind == "hdf5" else contextlib.nullcontext() as file:
        for index in range(count):
            inside = None if file is None else group(file, f"episode_{index}", folder / EPISODES)
            episode = _episode(storage, index, folder) if inside is None else inside
            block = {field: np.asarray(episode[name][()], bool).reshape(-1) for field, name in names.items()}
            yield {**block, "episode": np.full(len(block["truncated"]), index)}


def _metadata(folder: Path) -> dict[str, Any]:
    metadata = read_description(folder / METADATA)
    if metadata.get("data_format") not in ("hdf5", "arrow", "parquet"):
        raise DemoFormatError(f"{folder / METADATA} does not name a file type of Minari; was it made by another program?")
    return metadata


def _space(metadata: Mapping[str, Any], key: str, folder: Path) -> spaces.Space:
    from minari.serialization import deserialize_space

    if not isinstance(metadata.get(key), str):
        raise DemoFormatError(
            f"{folder / METADATA} holds no {key}, and the environment that it names is not made, since that could run "
            "code; write the dataset again with a newer Minari"
        )
    with reading(folder / METADATA, f"has a malformed {key}"):
        description = parse_json(metadata[key], folder)
        bound_size({"spaces": description.get("subspaces", {}), **description})
        return deserialize_space(metadata[key])


def _storage(metadata: Mapping[str, Any], folder: Path, observation_space: Any, action_space: Any) -> Any:
    from minari.dataset._storages import get_minari_storage

    kind = metadata["data_format"]
    needed({"hdf5": "h5py"}.get(kind, "pyarrow"), "minari", f"reading Minari's {kind} files")
    with reading(folder, "is incomplete"):
        encoded = bool(metadata.get("jpeg_encoding", True))
        return get_minari_storage(kind)(folder.resolve(), observation_space, action_space, jpeg_encoding=encoded)


def _look_over(path: Path, count: int, storage: Any) -> None:
    """Raise unless Minari would read only numbers and encoded images stored in the file itself, and memory suffices."""
    from minari.dataset.minari_storage import is_image_space

    found = leaves(storage.observation_space)
    parts = {path: space for path, space in found.items() if not (storage.jpeg_encoding and is_image_space(space))}
    with opened(path) as file:
        for index in range(count):
            episode = group(file, f"episode_{index}", path)
            read = list(_walk(group(episode, "infos", path), path, 0)) if "infos" in episode else []
            read += [numbers(episode, name, path) for name in ("actions", "rewards", "terminations", "truncations")]
            for keys, space in found.items():
                *above, last = ("observations", *keys)
                parent = episode
                for key in above:
                    parent = group(parent, key, path)
                if keys not in parts:
                    _look_at_images(member(parent, last, path), path)
                elif is_supported(space):
                    read.append(numbers(parent, last, path))
                else:
                    read += _walk(parent, path, 0)
            check_room(read, path)


def _look_over_tables(folder: Path) -> None:
    """Raise unless memory suffices to read each Arrow or Parquet file as a whole, with its infos as Python objects."""
    for file in sorted(folder.glob("*/*")):
        if file.suffix == ".parquet":
            open_parquet(file)
        elif file.suffix == ".arrow":
            with reading(file):
                require_uncompressed(file)
            check_size(file, _DECODED * file.stat().st_size)


def _look_at_images(stored: Any, path: Path) -> None:
    """Raise unless JPEG images can be decoded, all to the size of the first one."""
    import io

    from PIL import Image

    check_room((stored,), path)
    largest = first = 0
    for encoded in stored[()]:
        try:
            with Image.open(io.BytesIO(encoded)) as image:
                largest = max(largest, 4 * image.width * image.height)
        except Image.DecompressionBombError as error:
            raise DemoFormatError(f"{path}: {stored.name} holds an image too large to decode ({brief(error)})") from error
        first = first or largest
    check_size(path, COPIES * len(stored) * first + largest)


def _walk(parent: Any, path: Path, depth: int) -> Iterator[Any]:
    """Yield the datasets of infos and texts, which Minari reads with every episode even if they are not needed."""
    import h5py

    from ganq_irl_demos.formats.hdf5 import MAX_DEPTH

    if depth > MAX_DEPTH:
        raise DemoFormatError(f"{path}: {parent.name} is nested too deeply")
    for name in parent:
        found = member(parent, name, path)
        if isinstance(found, h5py.Group):
            yield from _walk(found, path, depth + 1)
        elif found.dtype.kind == "O":  # texts; h5py only turns them into strings
            check_size(path, found.size * _TEXT_BYTES)
        else:
            yield numbers(parent, name, path)


def _episodes(storage: Any, count: int, chosen: dict[str, tuple[str, ...]], folder: Path) -> Iterator[Trajectory]:
    for index in range(count):
        episode = _episode(storage, index, folder)
        with reading(f"{folder}: episode {index}"):
            (described,) = storage.get_episode_metadata([index])
            observations = chosen_values(episode["observations"], chosen)
            yield _trajectory({**episode, "observations": observations}, described.get("seed"))


def _episode(storage: Any, index: int, folder: Path) -> Any:
    with reading(f"{folder}: episode {index}"):
        (episode,) = storage.get_episodes([index])
        return episode


def _trajectory(episode: Mapping[str, Any], seed: Any) -> Trajectory:
    rewards = np.asarray(episode["rewards"])
    absent = rewards.dtype.kind == "f" and bool(np.isnan(rewards).all())
    observations: Observations = episode["observations"]
    if any(np.ndim(array) == 0 for array in (episode["actions"], *named_arrays(observations).values())):
        raise ValueError("a single value, expected one row per step")
    return Trajectory(
        observations=observations,
        actions=episode["actions"],
        rewards=None if absent else rewards,
        terminated=bool(np.asarray(episode["terminations"])[-1]),
        truncated=bool(np.asarray(episode["truncations"])[-1]),
        seed=int(seed) if isinstance(seed, int | np.integer) else None,
    )


def write(stream: EpisodeStream, path: Path) -> None:
    """Write a dataset folder, or for ``minari:ID`` into Minari's local store; images are not transposed or compressed.

    Raises:
        MissingDependency: minari is not installed.
        InvalidDemonstrations: a trajectory has no transitions or is malformed, actions or their order are missing, or a Dict
            key cannot be a name in HDF5.
    """
    needed("minari", "minari", "writing Minari datasets")
    needed("h5py", "minari", "writing Minari datasets")
    if stream.missing:
        raise InvalidDemonstrations(f"{stream.source} lacks {', '.join(stream.missing)}, which Minari requires; write npz")
    bad = [name for name in named_spaces(stream.observation_space) if re.search(r"[/\x00]|^observations\.\.?$", name)]
    if bad:
        raise InvalidDemonstrations(f"{bad[0]!r}: the key cannot be a name in HDF5; write npz, or rename it")
    name, folder = _target(path)
    with replacing_folder(folder) as scratch:
        _write_data(stream, name, scratch.resolve() / "data")


def _target(path: Path) -> tuple[str, Path]:
    if str(path).startswith(PREFIX):
        from minari.storage.datasets_root_dir import get_dataset_path

        name = _checked_id(str(path).removeprefix(PREFIX))
        return name, Path(get_dataset_path(name))
    words = re.sub(r"[^-_\w]", "-", path.name, flags=re.ASCII)
    return words if re.search(r"-v[0-9]+$", words) else f"{words}-v0", path


def _write_data(stream: EpisodeStream, name: str, folder: Path) -> None:
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    spec = gym.registry.get(stream.env_id or "")
    storage = MinariStorage.new(folder, stream.observation_space, stream.action_space, env_spec=spec, jpeg_encoding=False)
    note = Note.of(stream)

    def buffers() -> Iterator[Any]:
        for _, trajectory in sound_episodes(stream):
            note.add(trajectory)
            yield _buffer(EpisodeBuffer, trajectory)

    with deferred_error_file(folder / EPISODES) as disk:
        storage._file_path = disk  # tells Minari where to write HDF5
        storage.update_episodes(disk.until_failure(buffers()))
    metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    described = {"dataset_id": name, "minari_version": minari.__version__, KEY: note.to_json()}
    (folder / METADATA).write_text(json.dumps({**metadata, **described}), encoding="utf-8")


def _buffer(kind: Any, trajectory: Trajectory) -> Any:
    last = np.arange(len(trajectory)) == len(trajectory) - 1
    seed = trajectory.seed
    return kind(
        seed=seed if seed is None or abs(seed) < 2**63 else None,  # our note stores larger ones
        observations=dict(trajectory.observations) if isinstance(trajectory.observations, dict) else trajectory.observations,
        actions=trajectory.actions,
        rewards=np.full(len(trajectory), np.nan) if trajectory.rewards is None else trajectory.rewards,
        terminations=last & trajectory.terminated,
        truncations=last & trajectory.truncated,
    )
