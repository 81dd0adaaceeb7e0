"""Demonstrations: episodes of an expert with the spaces they live in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError
from ganq_irl.spaces import check_supported
from ganq_irl_demos.episodes import Arrays, Episodes
from ganq_irl_demos.headers import OPTIONAL_FIELDS, content_checksum, header_of
from ganq_irl_demos.trajectories import Trajectory

if TYPE_CHECKING:
    import torch

    from ganq_irl.types import Batch


@dataclass(frozen=True, eq=False)
class Demonstrations(Sequence[Trajectory]):
    """A sequence of trajectories with the spaces they live in and where they came from.

    Attributes:
        trajectories: the episodes. They become ``Episodes``, in the shapes and kinds of number that the spaces ask for where
            that loses nothing.
        observation_space: of the environment: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        action_space: Box, Discrete, MultiDiscrete or MultiBinary.
        env_id: Gymnasium id of the environment, or None when unknown.
        provenance: JSON values that say how the episodes were made (expert, commands, seeds, versions).
        source: file, catalog name or description, for messages; not part of the content.
        missing: what the trajectories do not tell, of ``OPTIONAL_FIELDS``. Without ``actions`` theirs have shape ``(T, 0)``;
            without ``next_observations`` rows are in no known order, and the last observation of a trajectory is padding.

    Raises:
        IncompatibleSpaces: a space is of a kind that is not supported.
        ConfigurationError: the provenance is not JSON, or ``missing`` names something else.
        InvalidDemonstrations: lengths, shapes or keys of the trajectories do not fit together, or they hold no numbers.
    """

    trajectories: Iterable[Trajectory]
    observation_space: spaces.Space
    action_space: spaces.Space
    env_id: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    source: str = "demonstrations"
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.missing) - set(OPTIONAL_FIELDS)):
            raise ConfigurationError(f"missing={unknown}: only {' and '.join(OPTIONAL_FIELDS)} can be missing")
        object.__setattr__(self, "missing", tuple(sorted(set(self.missing))))
        object.__setattr__(self, "provenance", _as_json(self.provenance))
        check_supported(self.observation_space, self.action_space)
        episodes = Episodes.of(self.trajectories, self.observation_space, self.action_space, self.source)
        object.__setattr__(self, "trajectories", episodes)

    @property
    def episodes(self) -> Episodes:
        """The trajectories, which are stored as a few long arrays."""
        assert isinstance(self.trajectories, Episodes)
        return self.trajectories

    @property
    def arrays(self) -> Arrays:
        """The arrays that the trajectories are views of, see ``Episodes``."""
        return self.episodes.arrays

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.episodes)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> Demonstrations: ...
    def __getitem__(self, index: int | slice) -> Trajectory | Demonstrations:
        """One trajectory, or ``Demonstrations`` of a slice of them."""
        if isinstance(index, slice):
            return replace(self, trajectories=self.episodes[index])
        return self.episodes[index]

    def __repr__(self) -> str:
        return (
            f"Demonstrations({self.source}: {len(self)} trajectories, {self.n_transitions} transitions, env {self.env_id})"
        )

    @property
    def n_transitions(self) -> int:
        """Transitions in all trajectories together."""
        return int(self.arrays["lengths"].sum())

    @property
    def returns(self) -> np.ndarray | None:
        """Episode returns, ``(n_trajectories,)`` float64; None unless every trajectory has rewards."""
        returns = [trajectory.episode_return for trajectory in self]
        return None if not returns or None in returns else np.array(returns, dtype=np.float64)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of everything but ``source``, in hexadecimal: the same whatever file the demonstrations came from."""
        return content_checksum(header_of(self, self.episodes.seeds), self.arrays)

    def select(self, n: int, generator: np.random.Generator | None = None) -> Demonstrations:
        """The first ``n`` trajectories, or ``n`` drawn without replacement when a ``generator`` is given.

        The provenance gains ``selected``, the indices chosen.

        Raises:
            ConfigurationError: ``n`` is less than one or more than there are.
        """
        if not 1 <= n <= len(self):
            raise ConfigurationError(
                f"{self.source}: {n} trajectories were asked for, but it holds {len(self)}; ask for 1 to {len(self)}"
                if len(self)
                else f"{self.source} holds no trajectories; record or load some first"
            )
        chosen = list(range(n)) if generator is None else generator.permutation(len(self))[:n].tolist()
        return replace(
            self,
            trajectories=[self.episodes[index] for index in chosen],
            provenance={**self.provenance, "selected": chosen},
        )

    def to_batch(self, device: torch.device | str = "cpu") -> Batch:
        """All transitions as one ``Batch`` on ``device``, trajectory after trajectory; rewards are left out.

        Returns:
            A batch of ``n_transitions`` rows: uint8 stays (images), other integers become int64, floats float32.
            ``dones`` is 1 only on the last step of a ``terminated`` trajectory: a time limit is not termination.

        Raises:
            InvalidDemonstrations: there are no transitions.
        """
        from ganq_irl_demos.batching import to_batch

        return to_batch(self.episodes, self.source, device)


def _as_json(provenance: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(provenance)))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the provenance of demonstrations must hold JSON values only ({error}); convert the others to str or float"
        ) from error
