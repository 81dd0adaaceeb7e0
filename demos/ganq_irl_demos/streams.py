"""Streams: demonstrations read one episode at a time, for files larger than memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gymnasium import spaces

from ganq_irl import budget
from ganq_irl_demos.columns import IN_MEMORY
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.episodes import Episodes
from ganq_irl_demos.headers import description_of
from ganq_irl_demos.trajectories import Trajectory

EPISODE_BYTES = 1 << 10
"""Memory of an episode beside its values, until it is joined with the others."""

REMARKS = "remarks"
"""Key of the provenance for remarks of readers."""


def remarks_in(provenance: Mapping[str, Any]) -> list[str]:
    """Return the remarks of readers in a provenance, which may come from any file."""
    found = provenance.get(REMARKS)
    return [remark for remark in found if isinstance(remark, str)] if isinstance(found, list) else []


def split_mask(source: str) -> tuple[str, str | None]:
    """Split a source such as ``low_dim.hdf5#train`` into its name and its mask or None."""
    name, sign, mask = source.rpartition("#")
    return (name, mask) if sign and name and mask and not os.path.lexists(source) else (source, None)


@dataclass(frozen=True)
class Request:
    """Options of a reader other than the path.

    Attributes:
        observation_space: the environment's observation space, for formats without spaces.
        action_space: the environment's action space, likewise.
        env_id: Gymnasium ID of the environment. Its time limit tells truncation from termination where a file does not.
        columns: field (``observations``, ``actions``, ...) -> names of its columns.
        trust: whether a pickle may be opened, which can run code.
        download: whether a dataset may be downloaded.
        mask: name of the filter that selects episodes, in formats with masks.
    """

    observation_space: spaces.Space | None = None
    action_space: spaces.Space | None = None
    env_id: str | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trust: bool = False
    download: bool = False
    mask: str | None = None

    @property
    def has_spaces(self) -> bool:
        """Return whether both spaces are given."""
        return self.observation_space is not None and self.action_space is not None


@dataclass(frozen=True)
class EpisodeStream:
    """Demonstrations whose trajectories are read one by one, and again for each iteration.

    Attributes:
        episodes: returns a new iterator over the trajectories; a reader keeps at most one block of them in memory.
        observation_space, action_space, env_id, provenance, source, missing: as in ``Demonstrations``.
        remarks: sentences about what the reader corrected or found suspicious. They are also stored in the provenance.
        guessed: whether the spaces were guessed from the values.
        format: name of the format that it was read from; "" for others.
    """

    episodes: Callable[[], Iterable[Trajectory]]
    observation_space: spaces.Space
    action_space: spaces.Space
    env_id: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    source: str = "demonstrations"
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    guessed: bool = False
    format: str = ""

    def __post_init__(self) -> None:
        known = remarks_in(self.provenance)
        if fresh := [remark for remark in self.remarks if remark not in known]:
            object.__setattr__(self, "provenance", {**self.provenance, REMARKS: [*known, *fresh]})

    @staticmethod
    def of(demonstrations: Demonstrations) -> EpisodeStream:
        """Return demonstrations as a stream."""
        return EpisodeStream(
            episodes=lambda: demonstrations.episodes, source=demonstrations.source, **description_of(demonstrations)
        )

    def collect(self) -> Demonstrations:
        """Collect all trajectories, in memory or mapped from a file.

        Raises:
            ReadLimitExceeded: they exceed the read limit.
        """
        episodes = self.episodes()
        counted = episodes if isinstance(episodes, Episodes) else self._counted(episodes)
        demonstrations = Demonstrations(counted, source=self.source, **description_of(self))
        budget.current().hold(demonstrations.arrays.values(), self.source)
        return demonstrations

    def _counted(self, episodes: Iterable[Trajectory]) -> Iterator[Trajectory]:
        """Yield the episodes, and count their arrays and the memory to join them, one field at a time."""
        current = budget.current()
        current.add_source(self.source)
        passed = 0
        for trajectory in episodes:
            arrays = trajectory.arrays.values()
            current.hold(arrays, self.source)
            current.hold_object(trajectory.actions, EPISODE_BYTES, self.source)
            passed += sum(array.nbytes for array in arrays)
            current.check(min(passed, IN_MEMORY), self.source)
            yield trajectory
