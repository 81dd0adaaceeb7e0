"""Trajectories as one batch of torch tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl.types import Batch, Observations
from ganq_irl_demos.packing import pack
from ganq_irl_demos.trajectories import Demonstrations


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
        return {key: _tensor(arrays[f"observations.{key}"][rows], device) for key in first}
    return _tensor(arrays["observations"][rows], device)


def _tensor(array: np.ndarray, device: torch.device | str) -> Tensor:
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    elif array.dtype != np.uint8:
        array = array.astype(np.int64, copy=False)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
