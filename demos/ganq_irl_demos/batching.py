"""Episodes as one batch of torch tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl.types import Batch
from ganq_irl_demos.columns import Column
from ganq_irl_demos.episodes import Episodes
from ganq_irl_demos.trajectories import observations_of

CHUNK_ROWS = 1 << 16


def to_batch(episodes: Episodes, source: str, device: torch.device | str = "cpu") -> Batch:
    """See ``Demonstrations.to_batch``."""
    arrays, offsets = episodes.arrays, episodes.offsets("observations")
    if not arrays["lengths"].sum():
        raise InvalidDemonstrations(f"{source} holds no transitions; record or load some first")
    not_first, not_last = np.ones(offsets[-1], bool), np.ones(offsets[-1], bool)
    not_first[offsets[:-1]] = not_last[offsets[1:] - 1] = False
    ends = episodes.offsets("actions")[1:] - 1
    dones = np.zeros(arrays["lengths"].sum(), np.float32)
    dones[ends[arrays["terminated"] & (arrays["lengths"] > 0)]] = 1

    def observations(chosen: np.ndarray) -> Any:
        names = [name for name in episodes.fields if name.startswith("observations")]
        return observations_of({name: _tensor(arrays[name], device, chosen) for name in names})

    return Batch(
        observations=observations(not_last),
        actions=_tensor(arrays["actions"], device),
        next_observations=observations(not_first),
        dones=_tensor(dones, device),
    )


def _tensor(array: np.ndarray, device: torch.device | str, chosen: np.ndarray | None = None) -> Tensor:
    """Copy the rows that a mask selects to a tensor, chunk by chunk, since ``array`` may be larger than memory."""
    dtype: Any = np.float32 if array.dtype.kind == "f" else np.uint8 if array.dtype == np.uint8 else np.int64
    column = Column()
    for start in range(0, len(array), CHUNK_ROWS):
        part = array[start : start + CHUNK_ROWS]
        column.append((part if chosen is None else part[chosen[start : start + CHUNK_ROWS]]).astype(dtype), "batch")
    return torch.from_numpy(column.finished()).to(device)
