"""Headers: spaces, environment, provenance, seeds and ranks of demonstrations as JSON, and their checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganq_irl.errors import DemoFormatError, StorageError
from ganq_irl.spaces import space_from_json, space_to_json

Header = dict[str, Any]

OPTIONAL_FIELDS = ("actions", "next_observations")
"""Fields that demonstrations may lack. Missing rewards are simply None."""

MAX_SPACE_SIZE = 1 << 26
"""Maximum number of values in one observation or action; a file with more is damaged or malicious."""


def description_of(holder: object) -> dict[str, Any]:
    """Return the attributes that ``Demonstrations``, streams and notes share, as keyword arguments."""
    names = ("observation_space", "action_space", "env_id", "provenance", "missing")
    return {name: getattr(holder, name) for name in names}


def header_of(holder: object, seeds: Sequence[int | None], ranks: Sequence[float | None]) -> Header:
    """Return these attributes, the seeds and the ranks as JSON values; ``missing`` and ranks only if there are any."""
    header = description_of(holder)
    header |= {key: space_to_json(header[key]) for key in ("observation_space", "action_space")}
    missing = {"missing": list(header.pop("missing"))}
    ranked = {} if all(rank is None for rank in ranks) else {"ranks": list(ranks)}
    return {**header, "seeds": list(seeds), **ranked, **(missing if missing["missing"] else {})}


def read_header(
    header: Mapping[str, Any], source: str
) -> tuple[dict[str, Any], tuple[int | None, ...], tuple[float | None, ...]]:
    """Parse a header, the inverse of ``header_of``; return the attributes, the seeds and the ranks.

    Raises:
        DemoFormatError: the header is malformed, or a space is too large.
    """
    seeds, provenance = header.get("seeds"), header.get("provenance")
    env_id, missing = header.get("env_id"), header.get("missing", [])
    if (
        not isinstance(provenance, dict)
        or not (env_id is None or isinstance(env_id, str))
        or not isinstance(seeds, list)
        or not all(seed is None or (isinstance(seed, int) and not isinstance(seed, bool)) for seed in seeds)
        or not isinstance(ranks := header.get("ranks", [None] * len(seeds)), list)
        or len(ranks) != len(seeds)
        or not all(rank is None or isinstance(rank, float) for rank in ranks)
        or not isinstance(missing, list)
        or not all(isinstance(name, str) and name in OPTIONAL_FIELDS for name in missing)
    ):
        raise DemoFormatError(
            f"{source}: malformed header (env_id, provenance, seeds, ranks or missing); copy or record the file again"
        )
    found = {key: _space_in(header, key, source) for key in ("observation_space", "action_space")}
    return {**found, "env_id": env_id, "provenance": provenance, "missing": tuple(missing)}, tuple(seeds), tuple(ranks)


def content_checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a header and arrays (names, dtypes, shapes and values) in hexadecimal."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])  # does not copy a memory map
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        if array.size:
            digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _space_in(header: Mapping[str, Any], key: str, source: str) -> Any:
    """Return the space that a header describes, after checking its size.

    Raises:
        DemoFormatError: it is malformed or too large.
    """
    try:
        bound_size(header[key])
        return space_from_json(header[key])
    except (KeyError, StorageError) as error:
        raise DemoFormatError(f"{source}: its header has no valid {key} ({error}); copy or record the file again") from error


def bound_size(description: Any) -> None:
    """Refuse a declared shape that would exhaust memory, before anything is allocated."""
    if not isinstance(description, dict):
        raise StorageError(f"malformed description of a space: {str(description)[:200]}")
    for inner in description.get("spaces", {}).values() if isinstance(description.get("spaces", {}), dict) else ():
        bound_size(inner)
    size = 1
    for extent in description["shape"] if isinstance(description.get("shape"), list) else ():
        if not isinstance(extent, int) or extent < 0 or (size := size * extent) > MAX_SPACE_SIZE:
            raise StorageError(f"shape {str(description['shape'])[:80]} of a space is malformed or too large")
