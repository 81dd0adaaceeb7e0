"""Notes: JSON stored in files of other libraries' formats, for what these formats cannot express."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl import budget
from ganq_irl.errors import DemoFormatError
from ganq_irl.parsing import json_cost, parse_json
from ganq_irl_demos.formats.limits import reading
from ganq_irl_demos.headers import description_of, header_of, read_header
from ganq_irl_demos.streams import EpisodeStream
from ganq_irl_demos.trajectories import Trajectory

KEY = "ganq_irl"
"""Name under which a format stores the note."""


@dataclass
class Note:
    """Spaces, environment ID, provenance, and for each trajectory its seed, its rank, and whether it has rewards."""

    observation_space: spaces.Space
    action_space: spaces.Space
    env_id: str | None
    provenance: dict[str, Any]
    missing: tuple[str, ...]
    seeds: list[int | None] = field(default_factory=list)
    ranks: list[float | None] = field(default_factory=list)
    rewarded: list[bool] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @staticmethod
    def of(stream: EpisodeStream) -> Note:
        """Return an empty note for a stream that is about to be written."""
        return Note(**description_of(stream))

    def add(self, trajectory: Trajectory) -> None:
        """Add the seed, rank, rewards flag and end of the next trajectory."""
        self.seeds.append(trajectory.seed)
        self.ranks.append(trajectory.rank)
        self.rewarded.append(trajectory.rewards is not None)
        self.ends.append(trajectory.terminated + 2 * trajectory.truncated)

    def to_json(self) -> str:
        """Return the note as JSON text."""
        return json.dumps({**header_of(self, self.seeds, self.ranks), "rewarded": self.rewarded, "ends": self.ends})

    @staticmethod
    def from_json(text: str | bytes, source: str) -> Note:
        """Read what ``to_json`` wrote.

        Raises:
            DemoFormatError: malformed.
        """
        with reading(source, "holds a malformed note of ganq-irl"):
            budget.current().take(json_cost(text), source)
            content = parse_json(text, source)
            rewarded, ends = list(map(bool, content["rewarded"])), list(content["ends"])
            described, seeds, ranks = read_header(content, source)
            if not len(ends) == len(rewarded) == len(seeds) or not set(ends) <= {0, 1, 2, 3}:
                raise ValueError("one end and one flag for each trajectory were expected")
            return Note(**described, seeds=list(seeds), ranks=list(ranks), rewarded=rewarded, ends=list(map(int, ends)))

    def of_some(self, chosen: list[int]) -> Note:
        """Return the note of some trajectories, by index; or the whole note if it does not cover them."""
        if any(index >= len(self.seeds) for index in chosen):
            return self
        return replace(
            self,
            seeds=[self.seeds[index] for index in chosen],
            ranks=[self.ranks[index] for index in chosen],
            rewarded=[self.rewarded[index] for index in chosen],
            ends=[self.ends[index] for index in chosen],
        )

    def stream(
        self, episodes: Callable[[], Iterator[Trajectory]], source: str, remarks: Iterable[str] = ()
    ) -> EpisodeStream:
        """Return the episodes of a file with this note as they were before they were written."""
        return EpisodeStream(
            lambda: self.restored(episodes(), source), source=source, remarks=tuple(remarks), **description_of(self)
        )

    def restored(self, trajectories: Iterator[Trajectory], source: str) -> Iterator[Trajectory]:
        """Undo the changes that writing made to trajectories.

        Raises:
            DemoFormatError: the number of trajectories differs from that of the note.
        """
        count = 0
        for trajectory in trajectories:
            if count < len(self.seeds):
                yield self._restored(trajectory, count)
            count += 1
        if count != len(self.seeds):
            raise DemoFormatError(
                f"{source} was altered: it holds {count} trajectories, but its note lists {len(self.seeds)}; copy it again"
            )

    def _restored(self, trajectory: Trajectory, index: int) -> Trajectory:
        rewards = np.full(len(trajectory), np.nan) if trajectory.rewards is None else trajectory.rewards  # all were NaN
        return replace(
            trajectory,
            rewards=rewards if self.rewarded[index] else None,
            terminated=bool(self.ends[index] & 1),
            truncated=bool(self.ends[index] & 2),
            seed=self.seeds[index],
            rank=self.ranks[index],
        )
