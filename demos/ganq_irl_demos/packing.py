"""A set of trajectories as one JSON header and a few long arrays, and back: what files and checksums are made of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations, StorageError
from ganq_irl.spaces import space_from_json, space_to_json
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.trajectories import MISSABLE, Demonstrations, Trajectory, named_arrays, named_spaces

if TYPE_CHECKING:
    from ganq_irl_demos.streams import EpisodeStream

Header = dict[str, Any]
Arrays = dict[str, np.ndarray]

TABLE = {"lengths": np.int64, "terminated": np.bool_, "truncated": np.bool_, "rewarded": np.bool_}
"""Arrays with one entry a trajectory: T, how it ended, and whether it has rewards."""

MAX_SPACE_SIZE = 1 << 26
"""Numbers in one observation or action; more is taken for a damaged or hostile file."""


def pack(demonstrations: Demonstrations) -> tuple[Header, Arrays]:
    """Join trajectories end to end; a field whose dtype differs among them takes the common one.

    Nothing is copied of trajectories that still lie as the file had them, so the arrays may be read-only.

    Returns:
        The header (env id, spaces, provenance, seeds), and arrays: ``lengths terminated truncated rewarded``
        ``(n_trajectories,)``, ``observations[.<key>]`` ``(sum(T + 1), ...)``, ``actions`` ``(sum(T), ...)`` and ``rewards``
        ``(sum of T where rewarded,)``.

    Raises:
        InvalidDemonstrations: lengths, shapes, dtypes or keys do not fit together.
    """
    for index, trajectory in enumerate(demonstrations):
        check_lengths(
            trajectory, f"{demonstrations.source}: trajectory {index}", set(named_spaces(demonstrations.observation_space))
        )
    header = header_of(demonstrations, [trajectory.seed for trajectory in demonstrations])
    return header, {**_table(demonstrations), **_joined(demonstrations)}


def header_of(demonstrations: Demonstrations | EpisodeStream, seeds: list[int | None]) -> Header:
    """What is said once of a set, as JSON values; ``missing`` only where something is."""
    missing = {"missing": list(demonstrations.missing)} if demonstrations.missing else {}
    return {
        "env_id": demonstrations.env_id,
        "observation_space": space_to_json(demonstrations.observation_space),
        "action_space": space_to_json(demonstrations.action_space),
        "provenance": demonstrations.provenance,
        "seeds": seeds,
        **missing,
    }


def unpack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], source: str) -> Demonstrations:
    """Cut into trajectories what ``pack`` joined.

    Raises:
        DemoFormatError: header and arrays contradict each other.
    """
    observation_space, action_space = (space_in(header, key, source) for key in ("observation_space", "action_space"))
    _check_names(arrays, {*TABLE, *named_spaces(observation_space), "actions", "rewards"}, source)
    seeds: Any = header.get("seeds")
    provenance: Any = header.get("provenance")
    env_id, missing = header.get("env_id"), header.get("missing", [])
    table = {name: _column(arrays, name, dtype, source) for name, dtype in TABLE.items()}
    sound = isinstance(provenance, dict) and (env_id is None or isinstance(env_id, str))
    if not sound or not are_seeds(seeds, len(table["lengths"])) or not are_missable(missing):
        raise DemoFormatError(
            f"{source}: malformed header (env_id, provenance, seeds or missing); copy or record the file again"
        )
    rows = dict.fromkeys(named_spaces(observation_space), table["lengths"] + 1)
    rows |= {"actions": table["lengths"], "rewards": table["lengths"] * table["rewarded"]}
    parts = {name: _cut(arrays, name, counts, source) for name, counts in rows.items()}
    return Demonstrations(
        trajectories=tuple(_trajectory(parts, table, seeds, index) for index in range(len(seeds))),
        observation_space=observation_space,
        action_space=action_space,
        env_id=env_id,
        provenance=provenance,
        source=source,
        missing=tuple(missing),
    )


def content_checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over a header and arrays: names, dtypes, shapes and values, in hexadecimal."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])  # no copy of what is mapped from a file
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        if array.size:
            digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def check_lengths(trajectory: Trajectory, where: str, expected: set[str]) -> None:
    """Raise unless a trajectory has T + 1 observations under each of the ``expected`` names, and T rewards or none.

    Raises:
        InvalidDemonstrations: saying ``where``.
    """
    observations = named_arrays(trajectory.observations)
    if set(observations) != expected:
        raise InvalidDemonstrations(f"{where}: given {sorted(observations)}, expected {sorted(expected)} as in the space")
    if trajectory.actions.ndim == 0:
        raise InvalidDemonstrations(f"{where}, actions: given a single value, expected an array with a row for each step")
    steps = len(trajectory)
    for name, array in observations.items():
        if array.ndim == 0 or len(array) != steps + 1:
            raise InvalidDemonstrations(
                f"{where}, {name}: shape {array.shape} beside {steps} actions; expected one more row than actions"
            )
    if trajectory.rewards is not None and trajectory.rewards.shape != (steps,):
        raise InvalidDemonstrations(
            f"{where}, rewards: shape {trajectory.rewards.shape}, expected ({steps},), one for each action"
        )


def _table(demonstrations: Demonstrations) -> Arrays:
    columns = {
        "lengths": [len(trajectory) for trajectory in demonstrations],
        "terminated": [trajectory.terminated for trajectory in demonstrations],
        "truncated": [trajectory.truncated for trajectory in demonstrations],
        "rewarded": [trajectory.rewards is not None for trajectory in demonstrations],
    }
    return {name: np.array(column, dtype=TABLE[name]) for name, column in columns.items()}


def _joined(demonstrations: Demonstrations) -> Arrays:
    observations = [named_arrays(trajectory.observations) for trajectory in demonstrations]
    names = named_spaces(demonstrations.observation_space)
    joined = {name: _join([part[name] for part in observations], name, demonstrations.source) for name in names}
    joined["actions"] = _join([trajectory.actions for trajectory in demonstrations], "actions", demonstrations.source)
    rewards = [trajectory.rewards for trajectory in demonstrations if trajectory.rewards is not None]
    joined["rewards"] = _join(rewards, "rewards", demonstrations.source)
    return joined


def _join(parts: Sequence[np.ndarray], name: str, source: str) -> np.ndarray:
    if not parts:
        return np.zeros(0)
    unusual = sorted({str(part.dtype) for part in parts if part.dtype.kind not in NUMERIC})
    if unusual or len({part.shape[1:] for part in parts}) > 1:
        found = f"dtype {unusual[0]}" if unusual else f"shapes {sorted({part.shape[1:] for part in parts})} of one step"
        raise InvalidDemonstrations(
            f"{source}, {name}: {found}; expected numbers of one shape (check_demonstrations says which trajectory)"
        )
    return _as_one(parts) if _lie_end_to_end(parts) else np.concatenate(parts)


def _lie_end_to_end(parts: Sequence[np.ndarray]) -> bool:
    """Whether arrays are consecutive pieces of one, as they are once a file has been cut into trajectories."""
    owner, end = _owner(parts[0]), parts[0].__array_interface__["data"][0]
    for part in parts:
        start = part.__array_interface__["data"][0]
        if _owner(part) is not owner or start != end or part.dtype != parts[0].dtype or not part.flags.c_contiguous:
            return False
        end = start + part.nbytes
    return True


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _as_one(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Consecutive pieces as the array that they are pieces of: nothing is copied, which matters where a file is mapped."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    # Of a piece of one row the first stride may be anything.
    strides = (math.prod(shape[1:]) * parts[0].itemsize, *parts[0].strides[1:])
    return np.lib.stride_tricks.as_strided(parts[0], shape, strides, writeable=False)


def space_in(header: Mapping[str, Any], key: str, source: str) -> Any:
    """The space that a header describes, once its size is known to be bearable.

    Raises:
        DemoFormatError: malformed, or too large.
    """
    try:
        bound_size(header[key])
        return space_from_json(header[key])
    except (KeyError, StorageError) as error:
        raise DemoFormatError(
            f"{source}: its header has no readable {key} ({error}); copy or record the file again"
        ) from error


def bound_size(description: Any) -> None:
    """Refuse a declared shape that would only serve to fill the memory, before anything is allocated."""
    if not isinstance(description, dict):
        raise StorageError(f"malformed description of a space: {str(description)[:200]}")
    for inner in description.get("spaces", {}).values() if isinstance(description.get("spaces", {}), dict) else ():
        bound_size(inner)
    size = 1
    for extent in description["shape"] if isinstance(description.get("shape"), list) else ():
        if not isinstance(extent, int) or extent < 0 or (size := size * extent) > MAX_SPACE_SIZE:
            raise StorageError(f"shape {str(description['shape'])[:80]} of a space is malformed or too large")


def _check_names(arrays: Mapping[str, np.ndarray], expected: set[str], source: str) -> None:
    if set(arrays) != expected:
        missing, unexpected = sorted(expected.difference(arrays)), sorted(set(arrays) - expected)
        raise DemoFormatError(
            f"{source}: arrays that the header's spaces ask for are missing: {missing}, or are unexpected: {unexpected}; "
            "copy or record the file again"
        )


def _column(arrays: Mapping[str, np.ndarray], name: str, dtype: Any, source: str) -> np.ndarray:
    column = arrays[name]
    if column.dtype != dtype or column.shape != arrays["lengths"].shape or column.ndim != 1 or (column < 0).any():
        raise DemoFormatError(
            f"{source}: {name!r} has dtype {column.dtype} and shape {column.shape}, expected {np.dtype(dtype)}, "
            "one for each trajectory and none negative; copy or record the file again"
        )
    return column


def are_seeds(seeds: Any, count: int) -> bool:
    """Whether JSON values are ``count`` seeds."""
    return (
        isinstance(seeds, list)
        and len(seeds) == count
        and all(seed is None or (isinstance(seed, int) and not isinstance(seed, bool)) for seed in seeds)
    )


def are_missable(missing: Any) -> bool:
    """Whether JSON values are names of what demonstrations may lack."""
    return isinstance(missing, list) and all(isinstance(name, str) and name in MISSABLE for name in missing)


def _cut(arrays: Mapping[str, np.ndarray], name: str, counts: np.ndarray, source: str) -> list[np.ndarray]:
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    array = arrays[name]
    fits = array.ndim > 0 and len(array) == total and (counts <= total).all()  # a sum may have wrapped around
    if not fits or array.dtype.kind not in NUMERIC:
        raise DemoFormatError(
            f"{source}: {name!r} has dtype {array.dtype} and shape {array.shape}, where 'lengths' asks for {total} rows of "
            "numbers; copy or record the file again"
        )
    return np.split(array, ends[:-1]) if len(ends) else []


def _trajectory(parts: Mapping[str, list[np.ndarray]], table: Arrays, seeds: list[int | None], index: int) -> Trajectory:
    keyed = {
        name.removeprefix("observations."): values[index]
        for name, values in parts.items()
        if name.startswith("observations.")
    }
    return Trajectory(
        observations=keyed or parts["observations"][index],
        actions=parts["actions"][index],
        rewards=parts["rewards"][index] if table["rewarded"][index] else None,
        terminated=table["terminated"][index],
        truncated=table["truncated"][index],
        seed=seeds[index],
    )
