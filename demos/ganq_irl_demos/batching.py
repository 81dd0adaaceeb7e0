"""Trajectories as one batch of torch tensors."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl.types import Batch, Observations
from ganq_irl_demos.packing import pack
from ganq_irl_demos.trajectories import Demonstrations

IN_MEMORY = 128 << 20
"""Bytes up to which a field of a batch is kept in memory."""

CHUNK_ROWS = 1 << 16
FLUSHED_ROWS = 1 << 20


def to_batch(demonstrations: Demonstrations, device: torch.device | str = "cpu") -> Batch:
    """See ``Demonstrations.to_batch``."""
    _, arrays = pack(demonstrations)
    lengths = arrays["lengths"]
    if not lengths.sum():
        raise InvalidDemonstrations(f"{demonstrations.source} holds no transitions; record or load some first")
    ends = np.cumsum(lengths + 1) - 1  # row of each trajectory's last observation, among sum(T + 1) rows
    is_last = np.zeros(ends[-1] + 1, dtype=bool)
    is_last[ends] = True
    is_first = np.roll(is_last, 1)
    return Batch(
        observations=_observations(demonstrations, arrays, ~is_last, device),
        actions=_tensor(arrays["actions"], device),
        next_observations=_observations(demonstrations, arrays, ~is_first, device),
        dones=_tensor(_dones(lengths, arrays["terminated"]), device),
    )


def _dones(lengths: np.ndarray, terminated: np.ndarray) -> np.ndarray:
    dones = np.zeros(lengths.sum(), dtype=np.float32)
    dones[(np.cumsum(lengths) - 1)[terminated & (lengths > 0)]] = 1
    return dones


def _observations(
    demonstrations: Demonstrations, arrays: dict[str, np.ndarray], rows: np.ndarray, device: torch.device | str
) -> Observations:
    first = demonstrations[0].observations
    if isinstance(first, dict):
        return {key: _tensor(arrays[f"observations.{key}"], device, rows) for key in first}
    return _tensor(arrays["observations"], device, rows)


def _tensor(array: np.ndarray, device: torch.device | str, rows: np.ndarray | None = None) -> Tensor:
    """The rows that a mask chooses, in torch's dtypes; copied a chunk at a time: ``array`` may be larger than memory."""
    dtype: Any = np.float32 if array.dtype.kind == "f" else np.uint8 if array.dtype == np.uint8 else np.int64
    chosen = np.ones(len(array), bool) if rows is None else rows
    copied = _room((int(chosen.sum()), *array.shape[1:]), np.dtype(dtype))
    done = 0
    for start in range(0, len(array), CHUNK_ROWS):
        part = array[start : start + CHUNK_ROWS][chosen[start : start + CHUNK_ROWS]]
        copied[done : done + len(part)] = part
        done += len(part)
        if isinstance(copied, np.memmap) and start % FLUSHED_ROWS == 0:
            copied.flush()  # what is on the disk the system can take back when it needs room
    return torch.from_numpy(copied).to(device)


def _room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Room for a column: memory, or for a large one a temporary file that goes when the last array on it does.

    Its pages are the system's to write out and to take back, so that a set larger than memory can be drawn from.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        if hasattr(os, "posix_fallocate"):  # a full disk is an error now, and not a crash when a page is written
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+", shape=shape)
