"""Replay buffers below the pricing: views that change what is sampled, and rows as tensors.

Stable-Baselines3 keeps a replay buffer in the host's memory, gathers each batch there and copies it to the device. With a
copy on the device, batches are gathered there. Only new transitions, and a batch's indices and ends, are transferred. Rows
are drawn on the host in both cases, so that seeded runs are the same with and without the copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from ganq_irl.errors import ConfigurationError
from ganq_irl.types import mapped


class ReplayView(ReplayBuffer):
    """Base class for replay buffers that store nothing themselves.

    All attributes that a view does not define, including arrays and position, are the stored buffer's. Pickling a view
    pickles the stored buffer, which the model has before and after training.

    Args:
        stored: the buffer below, which may itself be a view.
    """

    def __init__(self, stored: ReplayBuffer) -> None:
        self.stored = stored  # SB3's constructor would allocate arrays

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stored, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.stored,)

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a transition of each environment."""
        self.stored.add(*args, **kwargs)

    def reset(self) -> None:
        """Clear the buffer."""
        self.stored.reset()


def stored_in(buffer: Any) -> Any:
    """Return the buffer that stores the transitions, below any views."""
    return stored_in(buffer.stored) if isinstance(buffer, ReplayView) else buffer


@contextmanager
def replaying(model: OffPolicyAlgorithm, view: ReplayView) -> Iterator[None]:
    """Let a model learn from a view of its replay buffer, and restore the buffer afterwards."""
    before = model.replay_buffer
    model.replay_buffer = view
    try:
        yield
    finally:
        model.replay_buffer = before


def _itself(buffer: ReplayBuffer) -> ReplayBuffer:
    return buffer


TRANSITION = ("observations", "actions", "next_observations")
"""Arrays in a device copy. Ends are not included, since truncation may be marked after a row was stored."""


def stored_rows(buffer: ReplayBuffer, names: Sequence[str], steps: np.ndarray, envs: np.ndarray) -> list[Any]:
    """Return a replay buffer's rows at ``(steps, envs)``, both ``(batch,)``, on its device and in stored form.

    Args:
        buffer: an SB3 replay buffer; its ``device_copy`` is used if it has one.
        names: arrays of ``TRANSITION``.
        steps: positions in the ring.
        envs: environment of each row.

    Returns:
        ``(batch, *shape)`` for each name, or a dict of such tensors.
    """
    copy: DeviceCopy | None = getattr(buffer, "device_copy", None)
    if copy is not None:
        return copy.rows(buffer, names, steps, envs)

    def rows(array: Any) -> Any:
        return mapped(lambda each: buffer.to_torch(each[steps, envs], copy=False), array)  # indexing has copied already

    return [rows(getattr(buffer, name)) for name in names]


def samples_at(buffer: ReplayBuffer, steps: np.ndarray, env: VecNormalize | None) -> Any:
    """Return SB3's samples of the transitions at ``steps``, ``(batch,)``; ``env`` normalizes observations."""
    return buffer._get_samples(steps, env=env)


def terminations(buffer: ReplayBuffer, steps: np.ndarray, envs: np.ndarray) -> Tensor:
    """Return 1 where an episode terminated, and 0 elsewhere and at time limits, ``(batch,)`` float32."""
    dones = buffer.dones[steps, envs] * (1 - buffer.timeouts[steps, envs])
    return buffer.to_torch(dones, copy=False).float()


class DeviceCopy:
    """A copy of a replay buffer's observations and actions on its device. The host's arrays remain the stored data.

    Rows added since the last read are copied at the next one, in one piece per array (two if the ring wraps around). The
    buffer is passed to each read, since relabeling creates a new buffer around the same arrays.

    Args:
        buffer: buffer to copy, including its current content.

    Raises:
        ConfigurationError: the device does not have enough memory.
    """

    def __init__(self, buffer: ReplayBuffer) -> None:
        arrays = {name: getattr(buffer, name) for name in TRANSITION}
        try:
            self._arrays = {
                name: mapped(lambda rows: torch.zeros_like(torch.from_numpy(rows), device=buffer.device), array)
                for name, array in arrays.items()
            }
        except torch.cuda.OutOfMemoryError as error:
            size = sum(rows.nbytes for array in arrays.values() for rows in _leaves(array)) / 2**30
            raise ConfigurationError(
                f"replay_on_device: a replay of {buffer.buffer_size * buffer.n_envs} transitions needs {size:.2g} GiB, "
                f"which {buffer.device} does not have; lower the generator's buffer_size, or leave the option out"
            ) from error
        self.refresh()

    def add(self) -> None:
        """Register that a step of each environment was added to the buffer."""
        self._n_missing += 1

    def refresh(self) -> None:
        """Copy all arrays at the next read, since they were changed without ``add``."""
        self._n_missing = len(self._arrays["actions"])

    def rows(self, buffer: ReplayBuffer, names: Sequence[str], steps: np.ndarray, envs: np.ndarray) -> list[Any]:
        """Return ``stored_rows``, gathered on the device."""
        self._catch_up(buffer)
        index = torch.as_tensor(steps * buffer.n_envs + envs, device=buffer.device)
        return [mapped(lambda array: array.flatten(0, 1)[index], self._arrays[name]) for name in names]

    def _catch_up(self, buffer: ReplayBuffer) -> None:
        n_missing, self._n_missing = min(self._n_missing, buffer.size()), 0
        first = buffer.pos - n_missing
        # The end of the ring comes before position 0.
        for start, stop in ((max(first, 0), buffer.pos), (buffer.buffer_size + first, buffer.buffer_size)):
            if start < stop:
                for name in TRANSITION:
                    host, device = _leaves(getattr(buffer, name)), _leaves(self._arrays[name])
                    for source, target in zip(host, device, strict=True):
                        target[start:stop] = torch.from_numpy(source[start:stop])


def keep_on_device(buffer: Any) -> None:
    """Keep a copy of a replay buffer of ours on its device, in ``device_copy``.

    Raises:
        ConfigurationError: the device does not have enough memory.
    """
    buffer.device_copy = DeviceCopy(buffer)


def _leaves(array: Any) -> Any:
    return iter(array.values() if isinstance(array, dict) else [array])
