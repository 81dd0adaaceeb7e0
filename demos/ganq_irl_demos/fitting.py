"""Convert array-likes to plain numpy arrays, and arrays to the shape and dtype of a space."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl import budget
from ganq_irl.errors import InvalidDemonstrations

NUMERIC = "biuf"
"""Numpy dtype kinds that demonstrations may hold: booleans, integers, floats."""

BLOCK_ROWS = 1 << 14
"""Number of rows processed at a time."""


def plain_array(value: Any, name: str) -> np.ndarray:
    """Convert a value to an array of plain numbers: native byte order, at most 64 bits, in main memory, without gradients.

    It accepts arrays, lists, torch tensors on any device, pandas columns, and object arrays of numbers or of equal arrays.
    Values that are not numeric are returned as numpy has them, so that the checks can report where they are.

    Raises:
        InvalidDemonstrations: ragged lists, masked values, or values that numpy cannot convert.
    """
    _refuse_masked(value, name)
    array = _as_array(value, name)
    if array.dtype.kind == "O":
        array = _unboxed(array, name)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # longdouble, which torch and the file formats do not have
        return budget.convert(array, np.float64)
    if array.dtype == np.uint64:
        return budget.convert(array, np.int64 if array.max(initial=0) <= np.iinfo(np.int64).max else np.float64)
    return array if array.dtype.isnative else budget.convert(array, array.dtype.newbyteorder("="))


def _refuse_masked(value: Any, name: str) -> None:
    """Refuse masked values, whose memory numpy would silently use as numbers."""
    parts = value if isinstance(value, list | tuple) else (value,)
    for index, part in enumerate(parts):
        if isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part):
            row = int(np.argwhere(np.ma.getmaskarray(part))[0][0]) if part is value and part.ndim else index
            raise InvalidDemonstrations(
                f"{name}, row {row}: the value is masked, expected a number; fill it in, or leave the episode out"
            )


def _as_array(value: Any, name: str) -> np.ndarray:
    if hasattr(value, "detach"):  # a torch tensor; torch itself need not be imported
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
    """Return the numbers in an object array, with None and pandas' NA as missing values; or the array itself."""
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
    """Convert values ``(rows, ...)`` to the shape of a space and, if that is lossless, to its dtype.

    Only flattened or added dimensions are undone; the order of values never changes. Booleans become numbers, and floats
    that are whole numbers become integers if the space has integers. Everything else is left to the checks.
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
    """Return whether two shapes hold the same values in the same order: one is flat, or they differ by dimensions of 1."""
    longer_than_one = [[extent for extent in shape if extent != 1] for shape in (given, wanted)]
    is_flat = min(map(len, longer_than_one)) <= 1
    return math.prod(given) == math.prod(wanted) and (is_flat or longer_than_one[0] == longer_than_one[1])


def _are_whole(array: np.ndarray) -> bool:
    """Return whether all values are 64-bit whole numbers, block by block, since the array may be larger than memory."""
    blocks = (array[start : start + BLOCK_ROWS] for start in range(0, len(array), BLOCK_ROWS))
    return all(bool(((np.abs(block) < 2.0**63) & (block == np.rint(block))).all()) for block in blocks)


def _holds(dtype: np.dtype, array: np.ndarray) -> bool:
    bounds = np.iinfo(dtype)
    return not array.size or bool(array.min() >= bounds.min and array.max() <= bounds.max)
