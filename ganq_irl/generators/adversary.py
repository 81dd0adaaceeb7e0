"""What a generator needs of the algorithm that trains its adversary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from torch import Tensor

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.types import Batch

SampleFakes = Callable[[int, int], Iterator[Batch | Encoded]]
"""``(n_batches, batch_size) -> batches`` of distinct transitions of the generator."""


class Adversary(Protocol):
    """The discriminator's side of the game, as the generator's callbacks see it."""

    def add_log_probs(self, batch: Batch) -> Batch:
        """The rollout that a round will draw from, with the log π of its actions where that is needed."""

    def encode_pool(self, batch: Batch) -> Batch | Encoded:
        """The rows that a round's updates draw from, encoded where that is worth doing for all of them at once."""

    def train(self, sample_fakes: SampleFakes, progress_remaining: float) -> None:
        """One round of discriminator updates; ``progress_remaining`` runs from 1 to 0 over the whole of ``learn``."""

    def price(self, batch: Batch) -> Tensor:
        """Reward of each transition by today's discriminator, ``(batch,)``."""
