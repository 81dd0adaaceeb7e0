"""Demonstrations: episodes of an expert with their spaces."""

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
    """A sequence of trajectories with their spaces and their origin.

    Attributes:
        trajectories: the episodes. They are converted to ``Episodes``, in the shapes and dtypes of the spaces if that is
            lossless.
        observation_space: the environment's: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        action_space: the environment's: Box, Discrete, MultiDiscrete or MultiBinary.
        env_id: Gymnasium ID of the environment, or None if unknown.
        provenance: JSON values that tell how the episodes were made (expert, commands, seeds, versions).
        source: file, catalog name or description, for messages; not part of the content.
        missing: which of ``OPTIONAL_FIELDS`` the trajectories lack. Without ``actions``, theirs have shape ``(T, 0)``.
            Without ``next_observations``, rows are in no known order, and the last observation of a trajectory is padding.

    Raises:
        IncompatibleSpaces: a space is not supported.
        ConfigurationError: the provenance is not JSON, or ``missing`` has an unknown name.
        InvalidDemonstrations: lengths, shapes or keys of the trajectories do not fit together, or values are not numeric.

    Example:
        >>> demos = load_demonstrations("cartpole")
        >>> len(demos), demos.n_transitions
        (20, 10000)
        >>> demos[:2].arrays["actions"].shape
        (1000,)
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
        """Return the trajectories, which are stored as a few long arrays."""
        assert isinstance(self.trajectories, Episodes)
        return self.trajectories

    @property
    def arrays(self) -> Arrays:
        """Return the arrays that the trajectories are views of, see ``Episodes``."""
        return self.episodes.arrays

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self.episodes)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> Demonstrations: ...
    def __getitem__(self, index: int | slice) -> Trajectory | Demonstrations:
        """Return one trajectory, or ``Demonstrations`` of a slice of them."""
        if isinstance(index, slice):
            return replace(self, trajectories=self.episodes[index])
        return self.episodes[index]

    def __repr__(self) -> str:
        return (
            f"Demonstrations({self.source}: {len(self)} trajectories, {self.n_transitions} transitions, env {self.env_id})"
        )

    @property
    def n_transitions(self) -> int:
        """Total number of transitions."""
        return int(self.arrays["lengths"].sum())

    @property
    def returns(self) -> np.ndarray | None:
        """Episode returns, ``(n_trajectories,)`` float64; None if a trajectory has no rewards."""
        returns = [trajectory.episode_return for trajectory in self]
        return None if not returns or None in returns else np.array(returns, dtype=np.float64)

    @property
    def ranks(self) -> np.ndarray | None:
        """Ranks of the episodes, ``(n_trajectories,)`` float64; None if a trajectory has none."""
        ranks = self.episodes.ranks
        return None if not ranks or None in ranks else np.array(ranks, dtype=np.float64)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of everything but ``source``, in hexadecimal; it does not depend on the file format."""
        return content_checksum(header_of(self, self.episodes.seeds, self.episodes.ranks), self.arrays)

    def select(self, n: int, generator: np.random.Generator | None = None) -> Demonstrations:
        """Return the first ``n`` trajectories, or ``n`` drawn without replacement if a ``generator`` is given.

        The provenance gains ``selected``, the chosen indices.

        Raises:
            ConfigurationError: ``n`` is not between 1 and the number of trajectories.
        """
        if not 1 <= n <= len(self):
            raise ConfigurationError(
                f"{self.source}: {n} trajectories were requested, but it holds {len(self)}; request 1 to {len(self)}"
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
        """Return all transitions as one ``Batch`` on ``device``, in the order of the trajectories, without rewards.

        Returns:
            A batch of ``n_transitions`` rows. uint8 (images) is kept, other integers become int64, and floats float32.
            ``dones`` is 1 only at the last step of a ``terminated`` trajectory, since a time limit is not a termination.

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
            f"provenance must only hold JSON values ({error}); convert the others to str or float"
        ) from error
