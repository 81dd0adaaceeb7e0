"""Variational discriminator bottleneck: the score reads a noisy code with limited information about the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganq_irl.discriminator.inputs import Encoded, InputEncoder, Part
from ganq_irl.discriminator.networks import BaseDiscriminator, Network
from ganq_irl.errors import ConfigurationError

_LARGEST_LOG_VARIANCE = 10.0

Code = tuple[Tensor, Tensor]
"""Mean μ and log-variance log σ² of a code, each ``(batch, code_size)``."""


class BottleneckNetwork(Network):
    """Network that outputs the mean and log-variance of the code, with the linear decision layer on top."""

    def __init__(self, parts: Sequence[Part], hidden_sizes: Sequence[int], activation: str, code_size: int) -> None:
        super().__init__(parts, hidden_sizes, activation, 2 * code_size)
        self.decision = nn.Linear(code_size, 1)


class BottleneckDiscriminator(BaseDiscriminator):
    """Discriminator D(z) on a code z ~ N(μ(x), σ²(x)) of the input x (Peng et al., 2019).

    The decision layer is linear, as in the paper's imitation experiments, so the score is normally distributed:
    w·z + b ~ N(w·μ + b, Σ w² σ²). It is sampled directly, with one draw per row instead of one per dimension of the code.
    Without ``Encoded.noise`` the score is that of the mean code, which the paper's rewards use.

    ``InformationConstraint`` limits the information and draws the noise.

    Args:
        encoder: the input of the score.
        hidden_sizes: widths of the layers before the code.
        activation: activation between the layers.
        code_size: dimension of the code.

    Raises:
        ConfigurationError: ``code_size`` is not a positive integer.

    Example:
        >>> bottleneck = BottleneckDiscriminator(encoder, code_size=8)
        >>> bottleneck(batch).shape
        torch.Size([64])
    """

    kind = "bottleneck"

    def __init__(
        self,
        encoder: InputEncoder,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
        code_size: int = 32,
    ) -> None:
        super().__init__(encoder, hidden_sizes, activation)
        if isinstance(code_size, bool) or not isinstance(code_size, int) or code_size < 1:
            raise ConfigurationError(f"code_size: given {code_size!r}, expected a positive integer")
        self.code_size = code_size
        self.network = BottleneckNetwork(encoder.parts, hidden_sizes, activation, code_size)

    def code(self, encoded: Encoded) -> Code:
        """Return the mean and log-variance of each row's code."""
        mean, log_variance = self._once(encoded.rows(), self.network).chunk(2, dim=1)
        return mean, log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)

    def score(self, encoded: Encoded) -> Tensor:
        """Return the logit of D, ``(batch,)``: for a random code if the rows hold noise, otherwise for the mean code."""
        mean, log_variance = self.code(encoded)
        scores = self.network.decision(mean).squeeze(1)
        if encoded.noise is None:
            return scores
        variance = torch.exp(log_variance) @ self.network.decision.weight.squeeze(0) ** 2
        return scores + torch.sqrt(variance + 1e-12) * encoded.noise  # sqrt has no gradient at 0

    def score_sides(self, real: Encoded, fake: Encoded) -> tuple[Tensor, Tensor]:
        """Score each side separately, so that the information constraint can reuse the code of each."""
        return self.score(real), self.score(fake)

    def information(self, encoded: Encoded) -> Tensor:
        """Return KL(N(μ, σ²) || N(0, 1)) = ½ Σ (μ² + σ² - 1 - log σ²) in nats, ``(batch,)``; its mean bounds I(x, z)."""
        mean, log_variance = self.code(encoded)
        return 0.5 * (mean**2 + torch.exp(log_variance) - 1 - log_variance).sum(dim=1)

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return the code network, which includes the decision layer."""
        return {self.network: self.encoder.parts}

    def config(self) -> dict[str, Any]:
        """Return a JSON description."""
        return {**super().config(), "code_size": self.code_size}
