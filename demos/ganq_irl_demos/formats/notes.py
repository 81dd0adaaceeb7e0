"""Notes: JSON stored in files of other libraries' formats, for what these formats cannot express."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl import budget
from ganq_irl.errors import DemoFormatError, ReadLimitExceeded
from ganq_irl.parsing import json_cost, parse_json
from ganq_irl_demos.headers import description_of, header_of, read_header
from ganq_irl_demos.streams import EpisodeStream
from ganq_irl_demos.trajectories import Trajectory

KEY = "ganq_irl"
"""Name under which a format stores the note."""


@dataclass
class Note:
    """Spaces, environment ID, provenance, and for each trajectory its seed and whether it has rewards."""

    observation_space: spaces.Space
    action_space: spaces.Space
    env_id: str | None
    provenance: dict[str, Any]
    missing: tuple[str, ...]
    seeds: list[int | None] = field(default_factory=list)
    rewarded: list[bool] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    @staticmethod
    def of(stream: EpisodeStream) -> Note:
        """Return an empty note for a stream that is about to be written."""
        return Note(**description_of(stream))

    def add(self, trajectory: Trajectory) -> None:
        """Add the seed, rewards flag and end of the next trajectory."""
        self.seeds.append(trajectory.seed)
        self.rewarded.append(trajectory.rewards is not None)
        self.ends.append(trajectory.terminated + 2 * trajectory.truncated)

    def to_json(self) -> str:
        """Return the note as JSON text."""
        return json.dumps({**header_of(self, self.seeds), "rewarded": self.rewarded, "ends": self.ends})

    @staticmethod
    def from_json(text: str | bytes, source: str) -> Note:
        """Read what ``to_json`` wrote.

        Raises:
            DemoFormatError: malformed.
        """
        try:
            budget.current().take(json_cost(text), source)
            content = parse_json(text, source)
        except ReadLimitExceeded:
            raise
        except (ValueError, RecursionError) as error:
            raise _malformed(source) from error
        if not isinstance(content, dict):
            raise _malformed(source)
        rewarded, ends = content.get("rewarded"), content.get("ends")
        described, seeds = read_header(content, source)
        if (
            not isinstance(rewarded, list)
            or not isinstance(ends, list)
            or not len(ends) == len(rewarded) == len(seeds)
            or not all(isinstance(end, int) and 0 <= end < 4 for end in ends)
        ):
            raise _malformed(source)
        return Note(**described, seeds=list(seeds), rewarded=[bool(flag) for flag in rewarded], ends=ends)

    def of_some(self, chosen: list[int]) -> Note:
        """Return the note of some trajectories, by index; or the whole note if it does not cover them."""
        if any(index >= len(self.seeds) for index in chosen):
            return self
        return replace(
            self,
            seeds=[self.seeds[index] for index in chosen],
            rewarded=[self.rewarded[index] for index in chosen],
            ends=[self.ends[index] for index in chosen],
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
        return replace(
            trajectory,
            rewards=_rewards(trajectory, self.rewarded[index]),
            terminated=bool(self.ends[index] & 1),
            truncated=bool(self.ends[index] & 2),
            seed=self.seeds[index],
        )


def _rewards(trajectory: Trajectory, rewarded: bool) -> Any:
    if rewarded and trajectory.rewards is None:  # all of them were NaN
        return np.full(len(trajectory), np.nan)
    return trajectory.rewards if rewarded else None


def _malformed(source: str) -> DemoFormatError:
    return DemoFormatError(f"{source}: the note that ganq-irl stored in it is malformed; copy or write the file again")
