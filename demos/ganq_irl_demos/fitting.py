"""Convert array-likes to plain numpy arrays, and arrays to the shape and kind of number of a space."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl import budget
from ganq_irl.errors import InvalidDemonstrations

NUMERIC = "biuf"
"""Kinds of numpy dtype that demonstrations may hold: booleans, integers, floats."""

BLOCK_ROWS = 1 << 14
"""Rows looked at together."""


def plain_array(value: Any, name: str) -> np.ndarray:
    """An array of ordinary numbers: native byte order, at most 64 bits, in main memory and outside of any gradient.

    Accepts arrays, lists, torch tensors on any device, pandas columns, and object arrays of numbers or of equal arrays.
    What holds no numbers is returned as numpy has it, so that the checks can name its place.

    Raises:
        InvalidDemonstrations: ragged lists, masked values, or something that numpy cannot read.
    """
    _refuse_masked(value, name)
    array = _as_array(value, name)
    if array.dtype.kind == "O":
        array = _unboxed(array, name)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # longdouble, which neither torch nor a file holds
        return budget.convert(array, np.float64)
    if array.dtype == np.uint64:
        return budget.convert(array, np.int64 if array.max(initial=0) <= np.iinfo(np.int64).max else np.float64)
    return array if array.dtype.isnative else budget.convert(array, array.dtype.newbyteorder("="))


def _refuse_masked(value: Any, name: str) -> None:
    """What lies under the mask of a masked array is no number of anyone's, and numpy would take it for one."""
    parts = value if isinstance(value, list | tuple) else (value,)
    for index, part in enumerate(parts):
        if isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part):
            row = int(np.argwhere(np.ma.getmaskarray(part))[0][0]) if part is value and part.ndim else index
            raise InvalidDemonstrations(
                f"{name}, row {row}: the value is masked, expected a number; fill it in, or leave the episode out"
            )


def _as_array(value: Any, name: str) -> np.ndarray:
    if hasattr(value, "detach"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    elif isinstance(value, list | tuple) and any(hasattr(item, "detach") for item in value):
        value = [_as_array(item, name) for item in value]
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidDemonstrations(
            f"{name}: not an array of one shape ({error}); pad or split the ragged entries"
        ) from error


def _unboxed(array: np.ndarray, name: str) -> np.ndarray:
    """Numbers that lie in an object array, of which None and pandas' NA are missing ones; or the array itself."""
    items = array.ravel().tolist()
    if items and all(isinstance(item, np.ndarray | list | tuple) for item in items):
        return _as_array([plain_array(item, name) for item in items], name)
    items = [None if type(item).__name__ == "NAType" else item for item in items]
    numbers = [item for item in items if item is not None]
    if not numbers or not all(isinstance(item, Number | np.number | np.bool_) for item in numbers):
        return array
    if len(numbers) == len(items):
        return np.array(items).reshape(array.shape)
    return np.array([np.nan if item is None else item for item in items]).reshape(array.shape)


def fitted(array: np.ndarray, space: spaces.Space) -> np.ndarray:
    """Values of a space, ``(rows, ...)``, in its shape and, where nothing is lost by it, in its kind of number.

    Only flattened or added dimensions are undone: pixels are never put in another order. Booleans become numbers, and
    floats that are whole numbers become integers where the space has those. Everything else is left for the checks.
    """
    if space.shape is None or not array.ndim or 0 in array.shape[1:] or array.dtype.kind not in NUMERIC:
        return array
    if array.shape[1:] != space.shape and _same_order(array.shape[1:], space.shape):
        array = array.reshape(len(array), *space.shape)
    wanted = np.dtype(space.dtype)
    if array.dtype.kind == "b" and not isinstance(space, spaces.MultiBinary):
        return budget.convert(array, wanted)
    if array.dtype.kind == "f" and wanted.kind in "iu" and _are_whole(array):
        return budget.convert(array, wanted if isinstance(space, spaces.Box) and _holds(wanted, array) else np.int64)
    return array


def _same_order(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether both shapes hold the same numbers in the same order: one is flat, or they differ in dimensions of 1 alone."""
    longer_than_one = [[extent for extent in shape if extent != 1] for shape in (given, wanted)]
    is_flat = min(map(len, longer_than_one)) <= 1
    return math.prod(given) == math.prod(wanted) and (is_flat or longer_than_one[0] == longer_than_one[1])


def _are_whole(array: np.ndarray) -> bool:
    """Whether all values are whole numbers of 64 bits; looked at in blocks, since the array may be larger than memory."""
    blocks = (array[start : start + BLOCK_ROWS] for start in range(0, len(array), BLOCK_ROWS))
    return all(bool(((np.abs(block) < 2.0**63) & (block == np.rint(block))).all()) for block in blocks)


def _holds(dtype: np.dtype, array: np.ndarray) -> bool:
    bounds = np.iinfo(dtype)
    return not array.size or bool(array.min() >= bounds.min and array.max() <= bounds.max)
