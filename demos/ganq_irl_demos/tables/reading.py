"""Read episodes from tables with a row for each transition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from gymnasium import spaces

from ganq_irl_demos.formats.limits import counted, joined
from ganq_irl_demos.formats.notes import Note
from ganq_irl_demos.imitation_types import horizon_of
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.arranging import Arranged, arrange
from ganq_irl_demos.tables.boundaries import Block, Rules, has_order, next_names
from ganq_irl_demos.tables.cells import numbered_episodes
from ganq_irl_demos.tables.cutting import cut, sound_blocks
from ganq_irl_demos.tables.guessing import guess_actions, guess_observations
from ganq_irl_demos.trajectories import Trajectory, fit, named_spaces, observations_of


def table_stream(
    blocks: Callable[[], Iterator[Block]], request: Request, source: str, note: Note | None = None, *, is_text: bool = False
) -> EpisodeStream:
    """Return the episodes of a table that is read block by block.

    Args:
        blocks: returns an iterator over the rows; the keys are fields as returned by ``find_columns``.
        request: spaces and ID of the environment, if given.
        source: name for error messages.
        note: the note that ganq-irl stored in the file, if any.
        is_text: whether numbers are stored as text, which has no dtype.

    Raises:
        DemoFormatError: there are neither rows nor spaces.
        IncompatibleSpaces: the guessed spaces are not supported.
    """

    def rows() -> Iterator[Block]:
        return sound_blocks(numbered_episodes(counted(blocks(), source), source), source)

    first = next(rows(), None)
    fields = set(first or ())
    # without any of these, rows may be in any order
    ordered = has_order(fields)
    if note:
        ordered = "next_observations" not in note.missing
    missing = (() if "actions" in fields or first is None else ("actions",)) + (
        () if ordered or first is None else ("next_observations",)
    )
    told = note or request
    observation_space = told.observation_space or guess_observations(first, source)
    action_space = told.action_space or guess_actions(first, rows, source)
    horizon = horizon_of(told.env_id)
    table = arrange(rows, horizon, source, noted=note is not None) if ordered and first else Arranged(rows, Rules())
    whole = note is not None or not ordered or bool(next_names(fields))
    dropped = {} if whole else {"last_steps": "dropped: their next observations are unknown"}

    def episodes() -> Iterator[Trajectory]:
        cutting = partial(cut, horizon=horizon, ordered=ordered, rules=table.rules)
        found = joined(table.blocks(), cutting, source)
        typed = (_typed(one, observation_space, action_space) for one in found) if is_text else found
        return (fit(one, observation_space, action_space) for one in typed)

    if note:
        return note.stream(episodes, source, table.remarks)
    return EpisodeStream(
        episodes=episodes,
        observation_space=observation_space,
        action_space=action_space,
        env_id=request.env_id,
        provenance={"file": source, **dropped},
        source=source,
        missing=missing,
        remarks=table.remarks,
        guessed=not request.has_spaces,
    )


def _typed(trajectory: Trajectory, observation_space: spaces.Space, action_space: spaces.Space) -> Trajectory:
    """Convert a trajectory read from text, where every number is a double, to the float dtypes of the spaces."""
    expected = {**named_spaces(observation_space), "actions": action_space}
    arrays = {name: _narrowed(array, expected.get(name)) for name, array in trajectory.arrays.items()}
    return replace(trajectory, observations=observations_of(arrays), actions=arrays["actions"])


def _narrowed(array: np.ndarray, space: spaces.Space | None) -> np.ndarray:
    is_float = isinstance(space, spaces.Box) and np.dtype(space.dtype).kind == "f" and array.dtype.kind == "f"
    return array.astype(space.dtype) if is_float and space is not None else array
