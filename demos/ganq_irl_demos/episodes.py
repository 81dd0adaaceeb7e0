"""Concatenated episodes: one array for each field, and each episode a view of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations
from ganq_irl_demos.columns import Column
from ganq_irl_demos.fitting import NUMERIC, fitted, plain_array
from ganq_irl_demos.trajectories import Trajectory, fit, named_spaces, observations_of

Arrays = dict[str, np.ndarray]

TABLE = {"lengths": np.int64, "terminated": np.bool_, "truncated": np.bool_, "rewarded": np.bool_}
"""Arrays with one entry per episode: T, how it ended, and whether it has rewards."""


@dataclass(frozen=True, eq=False)
class Episodes(Sequence[Trajectory]):
    """A sequence of trajectories that are views of a few long, read-only arrays.

    Attributes:
        arrays: ``lengths terminated truncated rewarded`` ``(n_episodes,)``, ``observations[.<key>]`` ``(sum(T + 1), ...)``,
            ``actions`` ``(sum(T), ...)`` and ``rewards`` ``(sum of T where rewarded,)``.
        seeds: the reset seed of each episode, or None if unknown.
        ranks: the rank of each episode, or None if it has none.
    """

    arrays: Arrays
    seeds: tuple[int | None, ...]
    ranks: tuple[float | None, ...]

    def __post_init__(self) -> None:
        for array in self.arrays.values():
            array.flags.writeable = False

    @staticmethod
    def of(
        trajectories: Iterable[Trajectory],
        observation_space: spaces.Space,
        action_space: spaces.Space,
        source: str,
        folder: Path | None = None,
    ) -> Episodes:
        """Join trajectories, in the shapes and dtypes of the spaces if that is lossless.

        Each field gets the common dtype of its arrays. ``Episodes`` are not copied.

        Args:
            trajectories: iterated over once, and not kept.
            observation_space: observation space of the environment.
            action_space: action space of the environment.
            source: name for error messages.
            folder: folder of the temporary files of large fields; by default the system's.

        Raises:
            InvalidDemonstrations: lengths, shapes or keys do not fit together, or a field is not numeric.
        """
        names = named_spaces(observation_space)
        if isinstance(trajectories, Episodes):
            return trajectories._fitted({**names, "actions": action_space}, source)
        columns = {name: Column(folder) for name in (*names, "actions", "rewards")}
        table: dict[str, list[Any]] = {name: [] for name in (*TABLE, "seeds", "ranks")}
        for index, given in enumerate(trajectories):
            one = fit(given, observation_space, action_space)
            check_lengths(one, f"{source}: trajectory {index}", set(names))
            for name, array in one.arrays.items():
                columns[name].append(array, f"{source}: trajectory {index}, {name}")
            row = (len(one), one.terminated, one.truncated, one.rewards is not None, one.seed, one.rank)
            for values, value in zip(table.values(), row, strict=True):
                values.append(value)
        arrays: Arrays = {name: np.array(table[name], dtype) for name, dtype in TABLE.items()}
        arrays |= {name: column.finished() for name, column in columns.items()}
        return Episodes(arrays, tuple(table["seeds"]), tuple(table["ranks"]))

    @staticmethod
    def from_arrays(
        arrays: Mapping[str, np.ndarray],
        seeds: Sequence[int | None],
        ranks: Sequence[float | None],
        observation_space: spaces.Space,
        source: str,
    ) -> Episodes:
        """Build episodes from arrays that were read from a file.

        Raises:
            DemoFormatError: arrays are missing, unexpected, or contradict each other.
        """
        expected = {*TABLE, *named_spaces(observation_space), "actions", "rewards"}
        if set(arrays) != expected:
            missing, unexpected = sorted(expected.difference(arrays)), sorted(set(arrays) - expected)
            raise DemoFormatError(
                f"{source}: arrays required by its spaces are missing: {missing}, or are unexpected: {unexpected}; copy or "
                "record the file again"
            )
        for name, dtype in TABLE.items():
            column = arrays[name]
            if column.dtype != dtype or column.shape != (len(seeds),) or (column < 0).any():
                raise DemoFormatError(
                    f"{source}: {name!r} has dtype {column.dtype} and shape {column.shape}, expected {np.dtype(dtype)}, "
                    "one per trajectory and not negative; copy or record the file again"
                )
        made = Episodes({name: plain_array(array, name) for name, array in arrays.items()}, tuple(seeds), tuple(ranks))
        for name in made.fields:
            array, offsets = made.arrays[name], made.offsets(name)
            fits = array.ndim > 0 and len(array) == offsets[-1] and (np.diff(offsets) >= 0).all()  # the sum may overflow
            if not fits or array.dtype.kind not in NUMERIC:
                raise DemoFormatError(
                    f"{source}: {name!r} has dtype {array.dtype} and shape {array.shape}, but 'lengths' requires "
                    f"{offsets[-1]} rows of numbers; copy or record the file again"
                )
        return made

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self.seeds)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trajectory]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | Sequence[Trajectory]:
        """Return one episode, or a slice of them: ``Episodes`` if they are consecutive, otherwise a list."""
        if isinstance(index, slice):
            chosen = range(len(self))[index]
            return self._consecutive(chosen) if chosen.step == 1 else [self[place] for place in chosen]
        place = range(len(self))[index]
        rows = {name: self.arrays[name][slice(*self.offsets(name)[place : place + 2])] for name in self.fields}
        return Trajectory(
            observations=observations_of(rows),
            actions=rows["actions"],
            rewards=rows["rewards"] if self.arrays["rewarded"][place] else None,
            terminated=self.arrays["terminated"][place],
            truncated=self.arrays["truncated"][place],
            seed=self.seeds[place],
            rank=self.ranks[place],
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the arrays with one row per step."""
        return tuple(name for name in self.arrays if name not in TABLE)

    def offsets(self, field: str) -> np.ndarray:
        """Return the first row of each episode in a field, then the total number of rows, ``(n_episodes + 1,)``."""
        return self._offsets.get(field, self._offsets["observations"])

    @cached_property
    def _offsets(self) -> Arrays:
        lengths = self.arrays["lengths"]
        counts = {"observations": lengths + 1, "actions": lengths, "rewards": lengths * self.arrays["rewarded"]}
        return {name: np.concatenate([[0], np.cumsum(count)]).astype(np.int64) for name, count in counts.items()}

    def _consecutive(self, chosen: range) -> Episodes:
        table = {name: self.arrays[name][chosen.start : chosen.stop] for name in TABLE}
        rows = {name: slice(*self.offsets(name)[[chosen.start, chosen.stop]]) for name in self.fields}
        columns = {name: self.arrays[name][found] for name, found in rows.items()}
        found = slice(chosen.start, chosen.stop)
        return Episodes(table | columns, self.seeds[found], self.ranks[found])

    def _fitted(self, expected: Mapping[str, spaces.Space], source: str) -> Episodes:
        if not len(self):
            return self
        given = {*self.fields} - {"rewards"}
        if given != set(expected):
            raise InvalidDemonstrations(f"{source}: given {sorted(given)}, expected {sorted(expected)} as in the spaces")
        changed = {name: fitted(self.arrays[name], space) for name, space in expected.items()}
        is_same = all(changed[name] is self.arrays[name] for name in changed)
        return self if is_same else replace(self, arrays=self.arrays | changed)


def check_lengths(trajectory: Trajectory, where: str, expected: set[str]) -> None:
    """Raise unless a trajectory has T + 1 observations under each ``expected`` name, and T rewards or none.

    Raises:
        InvalidDemonstrations: it does not; the message starts with ``where``.
    """
    observations = {name: array for name, array in trajectory.arrays.items() if name not in ("actions", "rewards")}
    if set(observations) != expected:
        raise InvalidDemonstrations(f"{where}: given {sorted(observations)}, expected {sorted(expected)} as in the space")
    if trajectory.actions.ndim == 0:
        raise InvalidDemonstrations(f"{where}, actions: given a single value, expected an array with one row per step")
    steps = len(trajectory)
    for name, array in observations.items():
        if array.ndim == 0 or len(array) != steps + 1:
            raise InvalidDemonstrations(
                f"{where}, {name}: shape {array.shape} for {steps} actions; expected one more row than actions"
            )
    if trajectory.rewards is not None and trajectory.rewards.shape != (steps,):
        raise InvalidDemonstrations(
            f"{where}, rewards: shape {trajectory.rewards.shape}, expected ({steps},), one for each action"
        )
