"""Folders of JSON and safetensors: what every saved artefact is made of. Nothing read here can run code.

A folder is written beside its target, flushed, and renamed into place: a reader never finds half of one. Between the renames
of the old folder and of the new there is an instant without either.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganq_irl.errors import StorageError

CONFIG_FILE = "config.json"
TENSORS_FILE = "tensors.safetensors"


@contextlib.contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``target`` when the block ends well, and vanishes when it does not."""
    target = Path(target)
    if target.is_file():
        raise StorageError(f"{target} is a file, expected a folder or nothing there; choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    scratch.chmod(0o755)
    try:
        yield scratch
        _flush(scratch)
        _swap(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _swap(scratch: Path, target: Path) -> None:
    retired = scratch.with_name(f"{scratch.name}-retired")
    if not target.exists():
        scratch.rename(target)
        return
    target.rename(retired)
    try:
        scratch.rename(target)
    except OSError:
        retired.rename(target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def replace_file(target: Path, content: bytes) -> None:
    """Write ``content`` to a file atomically: a reader sees the old content or the new, never a part."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def save_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write ``config.json`` and ``tensors.safetensors``; the config gains a SHA-256 of both.

    Raises:
        StorageError: ``folder`` is a file, or a folder that holds anything else, which replacing it would delete.
    """
    folder = Path(folder)
    others = sorted({path.name for path in folder.iterdir()} - {CONFIG_FILE, TENSORS_FILE}) if folder.is_dir() else []
    if others:
        raise StorageError(f"{folder} holds other files ({', '.join(others[:5])}); choose an empty or a new folder")
    with replacing_folder(folder) as scratch:
        write_folder(scratch, config, tensors)


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """As ``save_folder``, into a folder that the caller already replaces as a whole."""
    folder.mkdir(exist_ok=True)
    save_file({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, folder / TENSORS_FILE)
    config = {**config, "sha256": _checksum(config, folder / TENSORS_FILE)}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_folder(folder: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what ``save_folder`` wrote, checking its SHA-256.

    Raises:
        StorageError: a file is missing, truncated, altered, or not what it should be.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, TENSORS_FILE):
        if not (folder / name).is_file():
            raise StorageError(f"{folder} holds no {name}: not a folder that ganq-irl saved, or an incomplete copy of one")
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(f"{folder / CONFIG_FILE} is not valid JSON ({error}); copy the folder again") from error
    given = config.pop("sha256", None) if isinstance(config, dict) else None
    if given is None or given != _checksum(config, folder / TENSORS_FILE):
        raise StorageError(
            f"{folder / TENSORS_FILE} and {CONFIG_FILE} do not match the checksum in the latter: one of them was altered or "
            "cut short; copy the folder again"
        )
    try:
        return config, load_file(folder / TENSORS_FILE, device=str(device))
    except (SafetensorError, OSError) as error:
        raise StorageError(f"{folder / TENSORS_FILE} cannot be read ({error}); copy the folder again") from error


def _checksum(config: Mapping[str, Any], tensors_file: Path) -> str:
    """SHA-256, in hexadecimal, of a config without its checksum and of a file of tensors."""
    with open(tensors_file, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(config).encode())
    return digest.hexdigest()


def flatten_state(state: Any, prefix: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Split a nested state (dicts, lists, tensors, JSON scalars) into a JSON skeleton and its tensors.

    In the skeleton a tensor is ``{"tensor": name}`` and a dict a list of pairs, since JSON would turn the integer keys of an
    optimiser's state into strings. ``unflatten_state`` is the inverse.

    Raises:
        StorageError: a value is neither a tensor nor JSON, a key neither a string nor an integer, or two tensors would get
            one name.
    """
    if isinstance(state, Tensor):
        return {"tensor": prefix}, {prefix: state}
    if isinstance(state, Mapping):
        for key in state:
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise StorageError(f"{prefix}: the key {key!r} cannot be saved; use strings or integers")
        pairs = [(key, *flatten_state(value, f"{prefix}/{key}")) for key, value in state.items()]
        return {"dict": [[key, skeleton] for key, skeleton, _ in pairs]}, _merged(tensors for _, _, tensors in pairs)
    if isinstance(state, list | tuple):
        items = [flatten_state(value, f"{prefix}/{index}") for index, value in enumerate(state)]
        kind = "tuple" if isinstance(state, tuple) else "list"
        return {kind: [skeleton for skeleton, _ in items]}, _merged(tensors for _, tensors in items)
    if state is None or isinstance(state, bool | int | float | str):
        return {"value": state}, {}
    raise StorageError(f"{prefix}: a {type(state).__name__} cannot be saved as JSON or as a tensor")


def unflatten_state(skeleton: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Rebuild the state that ``flatten_state`` split.

    Raises:
        StorageError: the skeleton is malformed or names a tensor that is absent.
    """
    match skeleton:
        case {"tensor": str(name), **others} if not others:
            if name not in tensors:
                raise StorageError(f"the tensor {name!r} is missing")
            return tensors[name]
        case {"dict": list(pairs), **others} if not others:
            return dict(_pair(pair, tensors) for pair in pairs)
        case {"list": list(items), **others} if not others:
            return [unflatten_state(item, tensors) for item in items]
        case {"tuple": list(items), **others} if not others:
            return tuple(unflatten_state(item, tensors) for item in items)
        case {"value": (None | bool() | int() | float() | str()) as value, **others} if not others:
            return value
    raise StorageError(f"malformed state: {str(skeleton)[:200]}")


def _pair(pair: Any, tensors: Mapping[str, Tensor]) -> tuple[str | int, Any]:
    match pair:
        case [(str() | int()) as key, value]:
            return key, unflatten_state(value, tensors)
    raise StorageError(f"malformed state, expected a key and a value: {str(pair)[:200]}")


def _merged(parts: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    merged: dict[str, Tensor] = {}
    for part in parts:
        clash = merged.keys() & part.keys()
        if clash:
            raise StorageError(f"two tensors would be saved as {min(clash)!r}; rename a key")
        merged.update(part)
    return merged


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
