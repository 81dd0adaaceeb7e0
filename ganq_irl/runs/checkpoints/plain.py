"""Convert arrays, random states and nested values to JSON and tensors for ``ganq_irl.storage.flatten_state``, and back.

What JSON and tensors cannot distinguish is marked by a dict with a reserved key: an array with its dtype, a numpy scalar, a
long list of numbers, a random generator.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from torch import Tensor

from ganq_irl import budget
from ganq_irl.errors import StorageError

ARRAY, SCALAR, FLOATS, INTEGERS, GENERATOR, LEFT = "<array>", "<scalar>", "<floats>", "<integers>", "<generator>", "<left>"
_RESERVED = {ARRAY, SCALAR, FLOATS, INTEGERS, GENERATOR, LEFT}
_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
_MANY = 32
"""Lists of numbers longer than this are stored as a tensor."""
_NUMBER_BYTES = 40
"""Memory of a number in a list, in bytes."""
_SOURCE = "the checkpoint"
_CONSTANTS = (type, types.ModuleType, types.BuiltinFunctionType, enum.Enum, EnvSpec, np.dtype)


class NotPlain(ValueError):
    """A value cannot be described by plain data."""


def to_plain(value: Any) -> Any:
    """Convert a value to nested dicts, lists, tuples, tensors and JSON scalars; arrays are not copied.

    Raises:
        NotPlain: the value contains an unsupported object.
    """
    match value:
        case None | bool() | str():
            return value
        case Tensor():
            return value.detach()
        case np.generic():  # before float, since numpy's float64 is a float
            return {SCALAR: to_plain(np.asarray(value))}
        case int() | float() if type(value) in (int, float):
            return value
        case np.ndarray():
            return _pack_array(value)
        case np.random.Generator():
            return {GENERATOR: type(value.bit_generator).__name__, "state": to_plain(value.bit_generator.state)}
        case list() | tuple() if type(value) in (list, tuple):
            return _pack_list(value)
        case Mapping() if type(value) in (dict, OrderedDict):
            return _pack_dict(value)
    if is_constant(value):
        return {LEFT: True}
    raise NotPlain(f"a {type(value).__module__}.{type(value).__qualname__}")


def is_constant(value: Any) -> bool:
    """Return whether an object is immutable, so that it need not be stored if it is rebuilt with the same settings."""
    is_frozen = dataclasses.is_dataclass(value) and value.__dataclass_params__.frozen  # type: ignore[union-attr]
    is_function = isinstance(value, types.FunctionType) and value.__closure__ is None
    return is_frozen or is_function or isinstance(value, _CONSTANTS)


def _pack_array(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind not in "biufcSU":
        raise NotPlain(f"an array of {array.dtype}")
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if not raw.flags.writeable:  # torch warns about read-only memory
        raw = raw.copy()
    return {ARRAY: array.dtype.str, "shape": tuple(array.shape), "bytes": torch.from_numpy(raw)}


def _pack_list(values: list | tuple) -> Any:
    if len(values) > _MANY:
        kinds = {type(value) for value in values}
        marker = {float: FLOATS, int: INTEGERS}.get(kinds.pop()) if len(kinds) == 1 else None
        if marker == FLOATS or (marker == INTEGERS and all(abs(value) < 2**63 for value in values)):
            dtype = torch.float64 if marker == FLOATS else torch.int64
            return {marker: torch.tensor(values, dtype=dtype), "tuple": isinstance(values, tuple)}
    return type(values)(to_plain(value) for value in values)


def _pack_dict(values: Mapping[Any, Any]) -> dict[Any, Any]:
    for key in values:
        if type(key) not in (str, int) or key in _RESERVED:
            raise NotPlain(f"the key {key!r}")
    return {key: to_plain(value) for key, value in values.items()}


def from_plain(value: Any, present: Any = None) -> Any:
    """Undo ``to_plain``, in new memory that the budget counts while it lives; constants are taken from ``present``.

    Args:
        value: result of ``to_plain``.
        present: the current value to replace, built with the same settings.

    Raises:
        ReadLimitExceeded: it exceeds the read limit.
        StorageError: the value is malformed.
    """
    match value:
        case {"<left>": True}:
            return present
        case {"<array>": str(dtype), "shape": tuple(shape), "bytes": Tensor() as raw}:
            return _unpack_array(dtype, shape, raw)
        case {"<scalar>": inner}:
            return from_plain(inner)[()]
        case {"<floats>": Tensor() as numbers, "tuple": bool(is_tuple)} | {
            "<integers>": Tensor() as numbers,
            "tuple": bool(is_tuple),
        }:
            return _unpack_numbers(numbers, is_tuple)
        case {"<generator>": str(name), "state": state} if name in _BIT_GENERATORS:
            bit_generator = getattr(np.random, name)()
            set_bit_generator(bit_generator, from_plain(state))
            return np.random.Generator(bit_generator)
        case Tensor():
            return _own(value)
        case dict():
            known = present if isinstance(present, Mapping) else {}
            return {key: from_plain(entry, known.get(key)) for key, entry in value.items()}
        case list() | tuple():
            same = isinstance(present, list | tuple) and len(present) == len(value)
            return type(value)(from_plain(entry, present[i] if same else None) for i, entry in enumerate(value))
    return value


def set_bit_generator(bit_generator: Any, state: Any) -> None:
    """Set the state of a numpy bit generator.

    Raises:
        StorageError: the state belongs to another kind.
    """
    try:
        bit_generator.state = state
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"the state of a random generator is malformed: {error}") from error


def _own(tensor: Tensor) -> Tensor:
    """Copy a tensor from a file, after checking that memory suffices."""
    current = budget.current()
    current.check(tensor.nbytes, _SOURCE)
    own = tensor.clone()
    current.hold_object(own, own.nbytes, _SOURCE)
    return own


def _unpack_numbers(numbers: Tensor, is_tuple: bool) -> list[Any] | tuple[Any, ...]:
    budget.current().check(_NUMBER_BYTES * numbers.numel(), _SOURCE)
    return tuple(numbers.tolist()) if is_tuple else numbers.tolist()


def _unpack_array(dtype: str, shape: tuple[Any, ...], raw: Tensor) -> np.ndarray:
    try:
        own = _own(raw).numpy().view(np.uint8)
        budget.current().hold([own], _SOURCE)
        return own.view(np.dtype(dtype)).reshape(shape)
    except (TypeError, ValueError) as error:
        raise StorageError(f"an array is malformed: {error}") from error
