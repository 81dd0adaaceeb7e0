"""Write episodes as tables with a row for each transition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos.episodes import check_lengths
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.notes import Note
from ganq_irl_demos.streams import EpisodeStream
from ganq_irl_demos.tables.boundaries import BLOCK_ROWS, Block
from ganq_irl_demos.trajectories import Trajectory, named_arrays, named_spaces


def row_blocks(stream: EpisodeStream, note: Note) -> Iterator[Block]:
    """Yield the rows of a stream, about ``BLOCK_ROWS`` at a time, and store everything else in ``note``.

    The columns are ``observations next_observations`` (or one per key), ``actions rewards terminated truncated episode``.
    Missing rewards are NaN.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions, which rows cannot express, or is malformed.
    """
    parts: list[Block] = []
    rows = 0
    for index, trajectory in sound_episodes(stream):
        part = rows_of(trajectory, index, stream)
        note.add(trajectory)
        parts.append(part)
        rows += len(trajectory)
        if rows >= BLOCK_ROWS:
            yield _joined(parts)
            parts, rows = [], 0
    if parts:
        yield _joined(parts)


def sound_episodes(stream: EpisodeStream) -> Iterator[tuple[int, Trajectory]]:
    """Yield index and trajectory, for formats that can only store well-formed trajectories.

    Raises:
        InvalidDemonstrations: a trajectory has no transitions, wrong lengths or shapes, or is not numeric.
    """
    expected = set(named_spaces(stream.observation_space))
    shapes: dict[str, tuple[int, ...]] = {}
    for index, trajectory in enumerate(stream.episodes()):
        where = f"{stream.source}: trajectory {index}"
        check_lengths(trajectory, where, expected)
        if not len(trajectory):
            raise InvalidDemonstrations(f"{where} has no transitions, which this format cannot store; leave it out")
        for name, array in {**named_arrays(trajectory.observations), "actions": trajectory.actions}.items():
            if array.dtype.kind not in NUMERIC or array.shape[1:] != shapes.setdefault(name, array.shape[1:]):
                raise InvalidDemonstrations(
                    f"{where}, {name}: {array.dtype} of shape {array.shape[1:]}, expected numbers of shape {shapes[name]}"
                )
        yield index, trajectory


def rows_of(trajectory: Trajectory, index: int, stream: EpisodeStream) -> Block:
    """Return a sound trajectory as columns of T rows."""
    steps = len(trajectory)
    block: Block = {}
    for name, array in named_arrays(trajectory.observations).items():
        block[name] = array[:-1]
        if "next_observations" not in stream.missing:
            block[f"next_{name}"] = array[1:]
    if "actions" not in stream.missing:
        block["actions"] = trajectory.actions
    block["rewards"] = np.full(steps, np.nan) if trajectory.rewards is None else trajectory.rewards
    last = np.arange(steps) == steps - 1
    block |= {"terminated": last & trajectory.terminated, "truncated": last & trajectory.truncated}
    return {**block, "episode": np.full(steps, index, np.int64)}


def _joined(parts: list[Block]) -> Block:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
