"""Read and write episodes as tables with one row per transition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import quote, unquote

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, InvalidDemonstrations, nearest
from ganq_irl_demos.episodes import check_lengths
from ganq_irl_demos.fitting import NUMERIC
from ganq_irl_demos.formats.limits import counted, joined
from ganq_irl_demos.formats.notes import Note
from ganq_irl_demos.imitation_types import horizon_of
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.arranging import Arranged, arrange
from ganq_irl_demos.tables.boundaries import Block, Rules
from ganq_irl_demos.tables.cells import numbered_episodes
from ganq_irl_demos.tables.cutting import cut, sound_blocks
from ganq_irl_demos.tables.guessing import guess_actions, guess_observations
from ganq_irl_demos.trajectories import Observations, Trajectory, fit, named_arrays, named_spaces

SYNONYMS = {
    "observations": ("observations", "observation", "obs", "states", "state"),
    "actions": ("actions", "action", "acts", "act"),
    "rewards": ("rewards", "reward", "rews", "rew"),
    "next_observations": ("next_observations", "next_observation", "next_obs", "next_states", "next_state"),
    "terminated": ("terminated", "terminals", "terminal", "terminations"),
    "truncated": ("truncated", "truncations", "timeouts"),
    "dones": ("dones", "done"),
    "episode": ("episode", "episode_id", "episode_ids", "episode_index", "trajectory", "trajectory_id"),
    "step": ("step", "step_id", "step_index", "timestep", "time_step", "frame_index", "t"),
}
"""Field -> usual names of its column."""

BLOCK_ROWS = 1 << 14
"""Number of rows read and written at a time."""

_INDEXED = re.compile(r"^(?P<base>.+?)[_\[](?P<index>[0-9]{1,9})\]?$")
_BRACKETED = re.compile(r"^(?P<base>.+)\[(?P<index>[0-9]{1,9})\]$")


def find_columns(names: list[str], asked: Mapping[str, tuple[str, ...]], source: str) -> dict[str, list[str]]:
    """Return the columns of each field.

    A field is one column (``obs``), several numbered ones (``obs_0``, ``obs_1``, ...), or one per key of a Dict observation
    (``obs.camera``, ``obs.speed``). ``asked`` lists columns with other names; ``x*`` matches all columns that start with x.

    Returns:
        Field, or ``observations.<key>``, -> its columns in order.

    Raises:
        ConfigurationError: a requested field or column does not exist.
        DemoFormatError: there are no observations.
    """
    asked = _by_field(asked)
    found: dict[str, list[str]] = {}
    for field, synonyms in SYNONYMS.items():
        if field in asked:
            found[field] = _asked_columns(names, asked[field], source)
        else:
            found |= next((some for name in synonyms if (some := _usual_columns(names, name, field))), {})
    if not any(field.partition(".")[0] == "observations" for field in found):
        raise DemoFormatError(
            f"{source}: no column has a usual name of observations (columns: {', '.join(names[:20]) or 'none'}); name it "
            "with --columns observations=NAME[,NAME...]"
        )
    return found


def _by_field(asked: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the requested columns by field, for which any of its usual names may be given."""
    known = {synonym: field for field, synonyms in SYNONYMS.items() for synonym in synonyms}
    by_field: dict[str, tuple[str, ...]] = {}
    for name, columns in asked.items():
        if name not in known:
            raise ConfigurationError(f"columns: no field is called {name!r}; {nearest(name, known)}")
        if known[name] in by_field:
            raise ConfigurationError(f"columns: {name!r} is another name of {known[name]!r}; give only one of them")
        by_field[known[name]] = columns
    return by_field


def _asked_columns(names: list[str], patterns: tuple[str, ...], source: str) -> list[str]:
    chosen: list[str] = []
    for pattern in patterns:
        matching = [name for name in names if name.startswith(pattern[:-1])] if pattern.endswith("*") else [pattern]
        if not matching or not set(matching) <= set(names):
            raise ConfigurationError(f"{source}: no column {pattern!r}; {nearest(pattern, names)}")
        chosen += matching
    return chosen


def _usual_columns(names: list[str], base: str, field: str) -> dict[str, list[str]]:
    if base in names:
        return {field: [base]}
    if field == "step":  # t_0 and t_1 are not steps
        return {}
    if indexed := _numbered(names, base, _INDEXED):
        return {field: indexed}
    if not field.endswith("observations"):
        return {}
    keyed = [name for name in names if name.startswith(f"{base}.")]
    bases = dict.fromkeys(match["base"] if (match := _BRACKETED.match(name)) else name for name in keyed)
    return {
        f"{field}.{unquote(name[len(base) + 1 :])}": [name] if name in keyed else _numbered(keyed, name, _BRACKETED)
        for name in bases
    }


def is_numbered(name: str) -> bool:
    """Return whether a column's name marks it as one of several that make up a field."""
    return _INDEXED.match(name) is not None


def _numbered(names: list[str], base: str, pattern: re.Pattern[str]) -> list[str]:
    """Return the columns called ``base`` and a number, in the order of the numbers."""
    found = {int(match["index"]): name for name in names if (match := pattern.match(name)) and match["base"] == base}
    return [found[index] for index in sorted(found)]


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
    ordered = bool(fields & {"episode", "step", "terminated", "truncated", "dones"} or _has_next(fields))
    if note:
        ordered = "next_observations" not in note.missing
    missing = (() if "actions" in fields or first is None else ("actions",)) + (
        () if ordered or first is None else ("next_observations",)
    )
    observation_space = note.observation_space if note else request.observation_space or guess_observations(first, source)
    action_space = note.action_space if note else request.action_space or guess_actions(first, rows, source)
    env_id = note.env_id if note else request.env_id
    horizon = horizon_of(env_id)
    table = arrange(rows, horizon, source, noted=note is not None) if ordered and first else Arranged(rows, Rules())
    whole = note is not None or not ordered or _has_next(fields)
    dropped = {} if whole else {"last_steps": "dropped: their next observations are unknown"}

    def episodes() -> Iterator[Trajectory]:
        cutting = partial(cut, horizon=horizon, ordered=ordered, rules=table.rules)
        found = joined(table.blocks(), cutting, source)
        typed = (_typed(one, observation_space, action_space) for one in found) if is_text else found
        trajectories = (fit(one, observation_space, action_space) for one in typed)
        return note.restored(trajectories, source) if note else trajectories

    return EpisodeStream(
        episodes=episodes,
        observation_space=observation_space,
        action_space=action_space,
        env_id=env_id,
        provenance=note.provenance if note else {"file": source, **dropped},
        source=source,
        missing=note.missing if note else missing,
        remarks=table.remarks,
        guessed=note is None and (request.observation_space is None or request.action_space is None),
    )


def _typed(trajectory: Trajectory, observation_space: spaces.Space, action_space: spaces.Space) -> Trajectory:
    """Convert a trajectory read from text, where every number is a double, to the float dtypes of the spaces."""
    expected = named_spaces(observation_space)
    arrays = {name: _narrowed(array, expected.get(name)) for name, array in named_arrays(trajectory.observations).items()}
    keyed = {name.removeprefix("observations."): array for name, array in arrays.items()}
    observations: Observations = keyed if isinstance(trajectory.observations, dict) else arrays["observations"]
    return replace(trajectory, observations=observations, actions=_narrowed(trajectory.actions, action_space))


def _narrowed(array: np.ndarray, space: spaces.Space | None) -> np.ndarray:
    is_float = isinstance(space, spaces.Box) and np.dtype(space.dtype).kind == "f" and array.dtype.kind == "f"
    return array.astype(space.dtype) if is_float and space is not None else array


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


def column_name(field: str) -> str:
    """Return a column name that ``find_columns`` understands: the key of a Dict observation is percent-encoded."""
    base, dot, key = field.partition(".")
    return base + dot + quote(key, safe="").replace(".", "%2E")


def _joined(parts: list[Block]) -> Block:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _has_next(fields: set[str]) -> bool:
    return any(field.partition(".")[0] == "next_observations" for field in fields)
