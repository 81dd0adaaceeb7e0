"""Scores of segments: a reward is learned from which of two sums of rewards is higher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganq_irl.discriminator.inputs import Encoded, InputEncoder, Part
from ganq_irl.discriminator.networks import BaseDiscriminator, Network, ScalarNetwork


class EnsembleDiscriminator(BaseDiscriminator):
    """Mean of the standardized scores of several networks (Christiano et al., 2017, section 2.2).

    Args:
        encoder: the input of the score.
        hidden_sizes: widths of each network's hidden layers.
        activation: activation between them.
        n_members: number of networks.

    Attributes:
        center: score of each network that counts as 0.
        scale: score of each network that counts as 1 above it.

    Example:
        >>> ensemble = EnsembleDiscriminator(encoder, n_members=3)
        >>> ensemble(batch).shape, ensemble.scores_of_members(encoder(batch)).shape
        (torch.Size([64]), torch.Size([3, 64]))
    """

    kind = "ensemble"
    center: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: InputEncoder,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
        n_members: int = 3,
    ) -> None:
        super().__init__(encoder, hidden_sizes, activation)
        self.members = nn.ModuleList(ScalarNetwork(encoder.parts, hidden_sizes, activation) for _ in range(n_members))
        self.register_buffer("center", torch.zeros(n_members))
        self.register_buffer("scale", torch.ones(n_members))

    def scores_of_members(self, encoded: Encoded) -> Tensor:
        """Return the score of each network, not standardized, ``(n_members, batch)``."""
        rows = encoded.rows()
        return torch.stack([member(rows) for member in self.members])

    def score(self, encoded: Encoded) -> Tensor:
        """Return the mean of the networks' standardized scores, ``(batch,)``."""
        standardized = (self.scores_of_members(encoded) - self.center.unsqueeze(1)) / self.scale.unsqueeze(1)
        return standardized.mean(dim=0)

    @torch.no_grad()
    def standardize(self, encoded: Encoded, *, keeps_level: bool) -> None:
        """Set center and scale, so that each network's scores of these rows have mean 0 and standard deviation 1.

        Args:
            encoded: the rows.
            keeps_level: leave the center at 0.
        """
        scores = self.scores_of_members(encoded)
        self.scale = scores.std(dim=1, correction=0).clamp_min(1e-6)
        self.center = torch.zeros_like(self.scale) if keeps_level else scores.mean(dim=1)

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return the networks, which all read all columns."""
        return dict.fromkeys(self.members, self.encoder.parts)  # type: ignore[arg-type]  # a ModuleList has no type

    def config(self) -> dict[str, Any]:
        """Return a JSON description."""
        return {**super().config(), "n_members": len(self.members)}


class SegmentDiscriminator(BaseDiscriminator):
    """Sum of a network's scores over the steps of a segment.

    Each row of its encoded batches holds a segment: ``features`` is ``(batch, length, dim)``, and ``dones``, ``(batch,
    length)``, is 1 for the steps after the end of a shorter segment, which count as 0.

    Args:
        encoder: the input of the network.
        network: the network, which learns.

    Example:
        >>> network = ScalarNetwork(encoder.parts, (8,), "relu")
        >>> rows = encoder(batch)
        >>> four = Encoded(rows.features.view(4, 16, -1), torch.zeros(4, 16), torch.zeros(4))
        >>> sums = SegmentDiscriminator(encoder, network).score(four)
        >>> torch.allclose(sums, network(rows.features).view(4, 16).sum(dim=1))
        True
    """

    kind = "segments"

    def __init__(self, encoder: InputEncoder, network: ScalarNetwork) -> None:
        super().__init__(encoder, (), "relu")
        self.network = network

    def score(self, encoded: Encoded) -> Tensor:
        """Return the sum of each segment's scores, ``(batch,)``."""
        scores = self.network(encoded.features.flatten(0, 1)).view_as(encoded.dones)
        return (scores * (1 - encoded.dones)).sum(dim=1)

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return the network, which reads all columns."""
        return {self.network: self.encoder.parts}
