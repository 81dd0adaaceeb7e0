"""Rows of a replay buffer as tensors: gathered from the host's arrays, or from a copy of them on the networks' device.

Stable-Baselines3 keeps a replay buffer in the host's memory, gathers each batch there and copies it to the device. With a
copy on the device a batch is gathered where it is used, and what crosses over is each transition, once, and the batch's
indices and ends. Which rows are drawn is decided on the host in either case, so that a seeded run is the same with and
without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Observations, mapped

TRANSITION = ("observations", "actions", "next_observations")
"""What a device copy holds. Not ends: that a time limit cut an episode may be marked after its last row was stored."""


def stored_rows(buffer: ReplayBuffer, names: Sequence[str], steps: np.ndarray, envs: np.ndarray) -> list[Any]:
    """Copies of a replay buffer's rows at ``(steps, envs)``, both ``(batch,)``, on its device and as they were stored.

    Args:
        buffer: any of SB3's; one with a ``device_copy`` is read there.
        names: arrays of ``TRANSITION``.
        steps: positions in the ring.
        envs: environment of each.

    Returns:
        For each name ``(batch, *shape)``, or a dict of them where the array is one.
    """
    copy: DeviceCopy | None = getattr(buffer, "device_copy", None)
    if copy is not None:
        return copy.rows(buffer, names, steps, envs)

    def rows(array: Any) -> Any:
        return mapped(lambda each: buffer.to_torch(each[steps, envs], copy=False), array)  # what was gathered is a copy

    return [rows(getattr(buffer, name)) for name in names]


def samples_at(buffer: ReplayBuffer, steps: np.ndarray, env: VecNormalize | None) -> Any:
    """Return SB3's samples of the transitions that begin at ``steps``, ``(batch,)``; ``env`` normalizes observations."""
    return buffer._get_samples(steps, env=env)


def terminations(buffer: ReplayBuffer, steps: np.ndarray, envs: np.ndarray) -> Tensor:
    """1 where an episode truly ended, 0 elsewhere and at time limits, ``(batch,)`` float32."""
    dones = buffer.dones[steps, envs] * (1 - buffer.timeouts[steps, envs])
    return buffer.to_torch(dones, copy=False).float()


def normalized(env: Any, observations: Observations) -> Observations:
    """Observations as a ``VecNormalize`` has them today; unchanged where ``env`` is None."""
    if env is None:
        return observations
    if isinstance(observations, dict):
        arrays = env.normalize_obs({key: value.cpu().numpy() for key, value in observations.items()})
        return {key: torch.as_tensor(value, device=observations[key].device) for key, value in arrays.items()}
    return torch.as_tensor(env.normalize_obs(observations.cpu().numpy()), device=observations.device)


class DeviceCopy:
    """Observations and actions of a replay buffer on its device; the host's arrays stay what is stored and kept.

    Rows that were added since the last read follow at the next one, in one piece an array (two where the ring begins anew).
    The buffer is given with each read, since relabeling makes a new one around the same arrays.

    Args:
        buffer: what is copied, with all that it holds.

    Raises:
        ConfigurationError: the device has no room for a buffer of this size.
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
                f"replay_on_device: a replay of {buffer.buffer_size * buffer.n_envs} transitions takes {size:.2g} GiB, and "
                f"{buffer.device} has no room for it; lower the generator's buffer_size, or leave the option out"
            ) from error
        self.refresh()

    def add(self) -> None:
        """A step of each environment was added to the buffer."""
        self._n_missing += 1

    def refresh(self) -> None:
        """The buffer's arrays were written past ``add``: copy all of them at the next read."""
        self._n_missing = len(self._arrays["actions"])

    def rows(self, buffer: ReplayBuffer, names: Sequence[str], steps: np.ndarray, envs: np.ndarray) -> list[Any]:
        """``stored_rows``, gathered on the device."""
        self._catch_up(buffer)
        index = torch.as_tensor(steps * buffer.n_envs + envs, device=buffer.device)
        return [mapped(lambda array: array.flatten(0, 1)[index], self._arrays[name]) for name in names]

    def _catch_up(self, buffer: ReplayBuffer) -> None:
        n_missing, self._n_missing = min(self._n_missing, buffer.size()), 0
        first = buffer.pos - n_missing
        # Before position 0 lies the end of the ring.
        for start, stop in ((max(first, 0), buffer.pos), (buffer.buffer_size + first, buffer.buffer_size)):
            if start < stop:
                for name in TRANSITION:
                    host, device = _leaves(getattr(buffer, name)), _leaves(self._arrays[name])
                    for source, target in zip(host, device, strict=True):
                        target[start:stop] = torch.from_numpy(source[start:stop])


def keep_on_device(buffer: Any) -> None:
    """Let a replay buffer of ours have its transitions on its device as well, in ``device_copy``.

    Raises:
        ConfigurationError: the device has no room for a buffer of this size.
    """
    buffer.device_copy = DeviceCopy(buffer)


def _leaves(array: Any) -> Any:
    return iter(array.values() if isinstance(array, dict) else [array])
