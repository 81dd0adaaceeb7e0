"""Folders of JSON and safetensors: what every saved artefact is made of. Nothing read here can run code.

A folder is written beside its target, flushed, and renamed into place, so that a reader finds the old one or the new one
and never half of either.
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
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    scratch.chmod(0o755)
    try:
        yield scratch
        _flush(scratch)
        retired = target.with_name(f".{target.name}-retired-{os.getpid()}")
        if target.exists():
            target.rename(retired)
        scratch.rename(target)
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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
    """Write ``config.json`` and ``tensors.safetensors``; the config gains the SHA-256 of the tensors."""
    with replacing_folder(Path(folder)) as scratch:
        write_folder(scratch, config, tensors)


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """As ``save_folder``, into a folder that the caller already replaces as a whole."""
    folder.mkdir(exist_ok=True)
    save_file({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, folder / TENSORS_FILE)
    config = {**config, "sha256": sha256(folder / TENSORS_FILE)}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_folder(folder: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what ``save_folder`` wrote, checking the tensors' SHA-256.

    Raises:
        StorageError: a file is missing, truncated, altered, or not what it should be.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, TENSORS_FILE):
        if not (folder / name).is_file():
            raise StorageError(f"{folder} holds no {name}: not a folder that ganq-irl saved, or an incomplete copy of one")
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(f"{folder / CONFIG_FILE} is not valid JSON ({error}); copy the folder again") from error
    if not isinstance(config, dict) or config.get("sha256") != sha256(folder / TENSORS_FILE):
        raise StorageError(f"{folder / TENSORS_FILE} does not match the checksum in {CONFIG_FILE}; copy the folder again")
    try:
        return config, load_file(folder / TENSORS_FILE, device=str(device))
    except (SafetensorError, OSError) as error:
        raise StorageError(f"{folder / TENSORS_FILE} cannot be read ({error}); copy the folder again") from error


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flatten_state(state: Any, prefix: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Split a nested state (dicts, lists, tensors, JSON scalars) into a JSON skeleton and its tensors.

    In the skeleton a tensor is ``{"tensor": name}`` and a dict whose keys are not all strings a list of pairs, so that an
    optimiser's state dict comes back exactly. ``unflatten_state`` is the inverse.

    Raises:
        StorageError: a value is neither a tensor nor JSON.
    """
    if isinstance(state, Tensor):
        return {"tensor": prefix}, {prefix: state}
    if isinstance(state, Mapping):
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
    if not isinstance(skeleton, dict) or len(skeleton) != 1:
        raise StorageError(f"malformed state: {str(skeleton)[:200]}")
    ((kind, content),) = skeleton.items()
    if kind == "tensor":
        if content not in tensors:
            raise StorageError(f"the tensor {content!r} is missing")
        return tensors[content]
    if kind == "dict":
        return {key: unflatten_state(value, tensors) for key, value in content}
    if kind in ("list", "tuple"):
        items = [unflatten_state(value, tensors) for value in content]
        return tuple(items) if kind == "tuple" else items
    if kind == "value":
        return content
    raise StorageError(f"malformed state: unknown kind {kind!r}")


def _merged(parts: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: value for part in parts for key, value in part.items()}


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
