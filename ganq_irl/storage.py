"""Save and load folders of JSON and safetensors, the format of all saved artifacts. Loading never runs code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganq_irl import budget
from ganq_irl.errors import ConfigurationError, StorageError
from ganq_irl.files import new_file, open_file, read_json, replacing_folder, require_plain

CONFIG_FILE = "config.json"
TENSORS_FILE = "tensors.safetensors"
LARGEST_HEADER = 2**22
"""Maximum size in bytes of a file's header, which describes its tensors: enough for about 40,000 tensors."""

DESCRIBED = 32
"""Memory per byte of the header once each tensor is an object."""

_SPARE_BYTES = 2**26
_LAYER_BYTES = 2**12  # minimum memory of a layer


def save_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write ``config.json`` and ``tensors.safetensors``, with a SHA-256 of both in the config.

    Raises:
        StorageError: ``folder`` is a file, or contains other files, which would be deleted.
    """
    folder = Path(folder)
    others = sorted({path.name for path in folder.iterdir()} - {CONFIG_FILE, TENSORS_FILE}) if folder.is_dir() else []
    if others:
        raise StorageError(f"{folder} contains other files ({', '.join(others[:5])}); choose an empty or a new folder")
    with replacing_folder(folder) as scratch:
        write_folder(scratch, config, tensors)


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write the files of ``save_folder`` into a folder that the caller replaces as a whole."""
    folder.mkdir(exist_ok=True)
    with new_file(folder / TENSORS_FILE) as file:
        file.write(save({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}))
    config = {**config, "sha256": _checksum(config, folder / TENSORS_FILE)}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def usable_device(device: torch.device | str) -> torch.device:
    """Return a device by name; "auto" is a GPU if there is one.

    Raises:
        ConfigurationError: the device is unknown to torch, is neither CPU nor CUDA, or is not available.
    """
    has_cuda = torch.cuda.is_available()
    try:
        chosen = torch.device(("cuda" if has_cuda else "cpu") if device == "auto" else device)
    except RuntimeError:
        chosen = torch.device("meta")
    if chosen.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"device: given {str(device)!r}; expected auto, cpu or cuda")
    n_devices = torch.cuda.device_count() if has_cuda else 0
    if chosen.type == "cuda" and (chosen.index or 0) >= n_devices:
        found = f"{n_devices} CUDA devices" if n_devices else "no CUDA device"
        raise ConfigurationError(f"device: given {str(device)!r}, but torch sees {found} here; use auto or cpu")
    return chosen


def load_folder(folder: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Load a folder written by ``save_folder`` and check its SHA-256.

    Raises:
        StorageError: a file is missing, truncated, altered, a link, or invalid.
    """
    folder = require_plain(folder)
    for name in (CONFIG_FILE, TENSORS_FILE):
        if not (folder / name).is_file():
            raise StorageError(f"{folder} holds no {name}: it was not saved by ganq-irl, or is an incomplete copy")
    try:
        config = read_json(folder / CONFIG_FILE)
    except StorageError as error:
        raise StorageError(f"{error}; copy the folder again") from error
    given = config.pop("sha256", None) if isinstance(config, dict) else None
    try:
        check_tensors(folder / TENSORS_FILE)
        is_whole = given is not None and given == _checksum(config, folder / TENSORS_FILE)
    except RecursionError as error:
        raise StorageError(f"{folder / CONFIG_FILE} is nested too deeply; copy the folder again") from error
    except OSError as error:
        raise StorageError(f"{folder / TENSORS_FILE} cannot be read ({error}); copy the folder again") from error
    if not is_whole:
        raise StorageError(
            f"{folder / TENSORS_FILE} and {CONFIG_FILE} do not match the checksum in the latter: one of them was altered or "
            "cut short; copy the folder again"
        )
    try:
        return config, load_file(folder / TENSORS_FILE, device=str(usable_device(device)))
    except (SafetensorError, OSError) as error:
        raise StorageError(f"{folder / TENSORS_FILE} cannot be read ({error}); copy the folder again") from error


def check_tensors(path: Path) -> None:
    """Check that there is memory for a file of tensors and its header.

    Raises:
        ReadLimitExceeded: there is not.
        StorageError: the header is too large, or the path is not a regular file.
        OSError: it cannot be read.
    """
    with open_file(path) as file:
        described, size = int.from_bytes(file.read(8), "little"), os.fstat(file.fileno()).st_size
    if described > LARGEST_HEADER:
        raise StorageError(
            f"{path} cannot be read: the list of its tensors claims {budget.in_words(described)}, more than "
            f"{budget.in_words(LARGEST_HEADER)}; copy the folder again, or do without it"
        )
    current = budget.current()
    current.add_source(path)
    current.check(size + DESCRIBED * described, path)


@contextlib.contextmanager
def building_for(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Limit the networks built inside to a few times the memory of the tensors that will fill them.

    Raises:
        ReadLimitExceeded: they exceed the budget.
        StorageError: a description asks for much larger networks; raised before they are allocated.
    """
    allowed = _SPARE_BYTES + 4 * sum(tensor.nbytes for tensor in tensors.values())
    budget.current().check(allowed, "a network")
    with _Allowance(allowed):
        yield


class _Allowance(TorchDispatchMode):
    """Limit the total size of the tensors that torch allocates."""

    def __init__(self, n_bytes: int) -> None:
        super().__init__()
        self.left = n_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], list | tuple) and all(isinstance(extent, int) for extent in args[0]):
            self.left -= max(_LAYER_BYTES, 4 * math.prod(args[0]))
            if self.left < 0:
                raise StorageError(f"networks of {tuple(args[0])} and more are larger than the saved tensors")
        return func(*args, **(kwargs or {}))


def _checksum(config: Mapping[str, Any], tensors_file: Path) -> str:
    """Return the SHA-256, in hexadecimal, of a config without its checksum and a file of tensors."""
    with open(tensors_file, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(config).encode())
    return digest.hexdigest()


def flatten_state(state: Any, prefix: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Split a nested state (dicts, lists, tensors, JSON scalars) into a JSON skeleton and its tensors.

    In the skeleton a tensor is ``{"tensor": name}`` and a dict is a list of pairs, because JSON would turn the integer keys
    of an optimizer's state into strings. ``unflatten_state`` is the inverse.

    Raises:
        StorageError: a value is neither a tensor nor JSON, a key is neither a string nor an integer, or two tensors would
            get the same name.
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
    """Rebuild a state split by ``flatten_state``.

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
