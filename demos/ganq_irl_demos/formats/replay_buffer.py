"""Replay buffers saved by Stable-Baselines3. They are pickles: opening one runs any code in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from gymnasium import spaces

from ganq_irl import budget
from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.formats.limits import beginning, brief, check_size
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.boundaries import BLOCK_ROWS, Block
from ganq_irl_demos.tables.reading import table_stream

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer

T = TypeVar("T")


def recognize(path: Path) -> bool:
    """Return whether a file starts like a pickle."""
    return beginning(path, 1) == b"\x80"


def read(path: Path, request: Request) -> EpisodeStream:
    """Read a buffer of one or more environments from its oldest transition, with actions in the environment's range.

    Raises:
        DemoFormatError: ``trust`` is false, or the file is not a replay buffer.
    """
    if not request.trust:
        raise DemoFormatError(
            f"{path} is a pickle, which could run code and is never opened; export it as arrays to .npz, or, if it is a "
            "replay buffer of Stable-Baselines3 and you know who made it, import it with: ganq-irl demos import --trust"
        )
    from stable_baselines3.common.buffers import ReplayBuffer

    buffer = unpickled(path, ReplayBuffer)
    budget.current().hold(_arrays(buffer), path)
    told = Request(buffer.observation_space, buffer.action_space, request.env_id)
    return table_stream(lambda: _blocks(buffer), told, str(path))


def unpickled(path: Path, kind: type[T]) -> T:
    """Unpickle an object saved by Stable-Baselines3. Use it only for files that the user trusts, since this runs their code.

    Raises:
        DemoFormatError: it cannot be unpickled, or is of another class.
        ReadLimitExceeded: it is larger than the read limit.
    """
    from stable_baselines3.common.save_util import load_from_pkl

    check_size(path, 2 * path.stat().st_size)  # the bytes of an array, and the array itself
    try:
        found = load_from_pkl(path)
    except Exception as error:  # unpickling may raise anything
        raise DemoFormatError(f"{path} cannot be unpickled ({brief(error)})") from error
    if not isinstance(found, kind):
        raise DemoFormatError(f"{path} holds a {type(found).__name__}, expected a {kind.__name__} of Stable-Baselines3")
    return found


def _arrays(buffer: ReplayBuffer) -> Iterator[np.ndarray]:
    for value in vars(buffer).values():
        parts = value.values() if isinstance(value, dict) else (value,)
        yield from (part for part in parts if isinstance(part, np.ndarray))


def _blocks(buffer: Any) -> Iterator[Block]:
    order = np.arange(buffer.buffer_size if buffer.full else buffer.pos)
    order = np.roll(order, -buffer.pos) if buffer.full else order
    if buffer.optimize_memory_usage and buffer.full:
        order = order[:-1]  # the oldest transition has overwritten the newest one's next observation
    for env in range(buffer.n_envs):
        for start in range(0, len(order), BLOCK_ROWS):
            yield _block(buffer, order[start : start + BLOCK_ROWS], env, newest=order[-1])


def _block(buffer: Any, rows: np.ndarray, env: int, newest: int) -> Block:
    """Return rows of one environment. Its ``newest`` row is cut off from the rows of the next environment."""
    timeouts = buffer.timeouts[rows, env].astype(bool)
    ended = buffer.dones[rows, env].astype(bool)
    block: Block = {
        **_observations("observations", buffer.observations, rows, env),
        **_next_observations(buffer, rows, env),
        "actions": _executed(buffer.actions[rows, env], buffer.action_space),
        "rewards": buffer.rewards[rows, env],
        "terminated": ended & ~timeouts,
        "truncated": timeouts | (~ended & (rows == newest)),
    }
    return block


def _observations(name: str, stored: Any, rows: np.ndarray, env: int) -> Block:
    if isinstance(stored, dict):
        return {f"{name}.{key}": array[rows, env] for key, array in stored.items()}
    return {name: stored[rows, env]}


def _next_observations(buffer: Any, rows: np.ndarray, env: int) -> Block:
    if buffer.optimize_memory_usage:
        return _observations("next_observations", buffer.observations, (rows + 1) % buffer.buffer_size, env)
    return _observations("next_observations", buffer.next_observations, rows, env)


def _executed(actions: np.ndarray, space: spaces.Space) -> np.ndarray:
    """Unscale Box actions, which off-policy algorithms store in −1 to 1."""
    if not isinstance(space, spaces.Box):
        return actions
    return (space.low + 0.5 * (actions + 1) * (space.high - space.low)).astype(actions.dtype)
