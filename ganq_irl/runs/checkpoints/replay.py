"""Save replay buffers in chunks of rows: only filled rows, and without a second copy of the buffer in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from ganq_irl.errors import StorageError
from ganq_irl.generators.off_policy.replay import stored_in
from ganq_irl.runs.checkpoints.plain import from_plain, to_plain

CHUNK_BYTES = 64 * 2**20
"""Maximum number of bytes of an array that are written, hashed or read at a time."""

_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def replay_state(buffer: ReplayBuffer) -> dict[str, Any]:
    """Return the filled rows, as views of the buffer's arrays."""
    size = buffer.size()
    return {
        "pos": buffer.pos,
        "full": buffer.full,
        "size": size,
        "arrays": {name: [to_plain(rows) for rows in _chunks(array[:size])] for name, array in _arrays(buffer)},
    }


def load_replay_state(buffer: ReplayBuffer, state: dict[str, Any]) -> None:
    """Restore rows into a buffer that was built with the same settings.

    Raises:
        StorageError: the buffer has other arrays, or is smaller.
    """
    arrays, size = dict(_arrays(buffer)), state["size"]
    if arrays.keys() != state["arrays"].keys():
        raise StorageError(f"the checkpoint's replay buffer holds {list(state['arrays'])}, this run's {list(arrays)}")
    for name, array in arrays.items():
        row = 0
        for chunk in state["arrays"][name]:
            rows = from_plain(chunk)
            if rows.dtype != array.dtype or rows.shape[1:] != array.shape[1:] or row + len(rows) > len(array):
                raise StorageError(
                    f"the checkpoint's {name} are {rows.shape} of {rows.dtype} from row {row}, which does not fit a "
                    f"buffer of {array.shape} of {array.dtype}"
                )
            array[row : row + len(rows)] = rows
            row += len(rows)
        if row != size:
            raise StorageError(f"the checkpoint's {name} have {row} rows, expected {size}")
    stored = stored_in(buffer)
    stored.pos, stored.full = state["pos"], state["full"]
    if getattr(buffer, "device_copy", None) is not None:
        buffer.device_copy.refresh()  # type: ignore[attr-defined]  # one of our replay buffers


def _arrays(buffer: ReplayBuffer) -> Iterator[tuple[str, np.ndarray]]:
    for name in _ARRAYS:
        value: Any = getattr(buffer, name, None)
        if isinstance(value, dict):
            yield from ((f"{name}/{key}", array) for key, array in value.items())
        elif value is not None:
            yield name, value


def _chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    n_rows = max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), n_rows):
        yield array[start : start + n_rows]
