"""One checkpoint as a folder: ``manifest.json`` with a SHA-256 per file, ``state.json``, safetensors, ``progress.csv``.

Tensor files hold at most ``CHUNK_BYTES`` each, or a single larger tensor, so that writing needs no more additional memory
than that. Reading needs none, since they are memory-mapped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganq_irl.errors import StorageError
from ganq_irl.files import new_file, open_file, read_json, read_text, require_plain
from ganq_irl.parsing import check_table
from ganq_irl.runs.checkpoints.replay import CHUNK_BYTES
from ganq_irl.storage import check_tensors, flatten_state, unflatten_state

SCHEMA = 1
MANIFEST, STATE, PROGRESS = "manifest.json", "state.json", "progress.csv"
_LARGEST_MANIFEST = 2**24
_LARGEST_STATE = _LARGEST_PROGRESS = 2**30
_MOST_TENSORS = 2**12
"""Maximum number of tensors per file, whose description must stay below ``storage.LARGEST_HEADER``."""


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint on disk.

    Attributes:
        folder: folder of the checkpoint.
        info: entries of the manifest other than its files: steps, evaluation, sizes of TensorBoard's files.
    """

    folder: Path
    info: dict[str, Any]

    @property
    def step(self) -> int:
        """Number of environment steps before the checkpoint."""
        return int(self.info["step"])

    def state(self) -> dict[str, Any]:
        """Return the nested state; large tensors are read from disk on access.

        Raises:
            StorageError: a file is malformed.
        """
        skeleton = read_json(self.folder / STATE, _LARGEST_STATE)
        try:
            return unflatten_state(skeleton["tree"], _Tensors(self.folder, skeleton["tensors"]))
        except (KeyError, TypeError, RecursionError) as error:
            raise StorageError(f"{self.folder / STATE} is malformed: {error!r}") from error

    def progress(self) -> str:
        """Return the content of ``progress.csv`` at the checkpoint.

        Raises:
            ReadLimitExceeded: its table exceeds the read limit.
            StorageError: it is too large, or not text.
        """
        text = read_text(self.folder / PROGRESS, _LARGEST_PROGRESS)
        check_table(text, self.folder / PROGRESS)  # SB3 rereads all rows when a column is added
        return text


def write_checkpoint(folder: Path, info: Mapping[str, Any], state: Mapping[str, Any], progress: bytes) -> None:
    """Write the files of a checkpoint into an empty folder.

    Raises:
        StorageError: a part of the state cannot be stored.
        OSError: the disk is full, or the folder cannot be written to.
    """
    tree, tensors = flatten_state(state)
    files: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    for number, group in enumerate(_groups(tensors)):
        name = f"tensors-{number:05d}.safetensors"
        places |= dict.fromkeys(group, name)
        content = save({key: tensors[key].detach().cpu().contiguous().clone() for key in group})
        files[name] = _write(folder / name, content)
    files[STATE] = _write(folder / STATE, json.dumps({"tree": tree, "tensors": places}).encode())
    files[PROGRESS] = _write(folder / PROGRESS, progress)
    manifest: dict[str, Any] = {"schema": SCHEMA, "kind": "checkpoint", **info, "files": files}
    manifest["sha256"] = _digest(manifest)
    _write(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def read_checkpoint(folder: Path) -> Checkpoint:
    """Open a checkpoint after verifying all of its files.

    Raises:
        StorageError: a file is missing, truncated, altered, a link, or of a newer schema.
    """
    manifest = read_manifest(require_plain(folder) / MANIFEST)
    files = manifest.pop("files")
    for name in {STATE, PROGRESS, *files}:
        _check_file(folder, name, files.get(name))
    return Checkpoint(folder, manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest, without verifying its files.

    Raises:
        StorageError: it is missing, malformed, or of a newer schema.
    """
    manifest = read_json(path, _LARGEST_MANIFEST)
    try:
        is_whole = isinstance(manifest, dict) and manifest.pop("sha256", None) == _digest(manifest)
    except RecursionError as error:
        raise StorageError(f"{path} is nested too deeply") from error
    if not is_whole:
        raise StorageError(f"{path} does not match its checksum")
    match manifest:
        case {"schema": int(schema), "kind": "checkpoint", "step": int(step), "files": dict()} if step >= 0 and _is_log(
            manifest
        ):
            if schema > SCHEMA:
                raise StorageError(f"{path} has schema {schema}, this version reads up to {SCHEMA}; update ganq-irl")
            return manifest
    raise StorageError(f"{path} does not describe a checkpoint")


def _is_log(manifest: Mapping[str, Any]) -> bool:
    """Return whether the log's entry in a manifest has the form written by ``logs.py``; runs without a log have none."""
    iterations, events = manifest.get("iterations", 0), manifest.get("events", {})
    return (
        isinstance(iterations, int)
        and isinstance(events, dict)
        and all(isinstance(size, int) and size >= 0 for size in events.values())
    )


def _check_file(folder: Path, name: str, entry: Any) -> None:
    if Path(name).name != name:
        raise StorageError(f"{folder / MANIFEST} names {name!r}, a file outside of the checkpoint")
    path = folder / name
    match entry:
        case {"sha256": str(digest), "bytes": int(size)}:
            pass
        case _:
            raise StorageError(f"{folder / MANIFEST} has no checksum of {name}")
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size != size:
                raise StorageError(f"{path} is not of the size that it was written with")
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    if found != digest:
        raise StorageError(f"{path} does not match its checksum")


def _write(path: Path, content: bytes) -> dict[str, Any]:
    with new_file(path) as file:
        file.write(content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _groups(tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Group names by at most ``CHUNK_BYTES`` and ``_MOST_TENSORS``, in their order."""
    group: list[str] = []
    size = 0
    for name, tensor in tensors.items():
        if group and (size + tensor.nbytes > CHUNK_BYTES or len(group) == _MOST_TENSORS):
            yield group
            group, size = [], 0
        group.append(name)
        size += tensor.nbytes
    if group:
        yield group


class _Tensors(Mapping[str, Tensor]):
    """Tensors by name, mapped from their files on access. Each can be read once, since a state never repeats a tensor."""

    def __init__(self, folder: Path, places: Mapping[str, str]) -> None:
        self.folder, self.places = folder, places
        self._open: dict[str, Any] = {}
        self._given: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        place = self.places[name]
        if name in self._given:
            raise StorageError(f"{self.folder / STATE} names the tensor {name!r} twice")
        self._given.add(name)
        try:
            if place not in self._open:
                if Path(place).name != place:
                    raise StorageError(f"{self.folder / STATE} names {place!r}, a file outside of the checkpoint")
                check_tensors(self.folder / place)
                self._open[place] = safe_open(self.folder / place, framework="pt")
            return self._open[place].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise StorageError(f"{self.folder / place} cannot be read: {error}") from error

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
