"""The variational discriminator bottleneck: a score of a noisy code that may hold only so much information."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    """A network to mean and log-variance of the code, and the linear decision on it."""

    def __init__(self, parts: Sequence[Part], hidden_sizes: Sequence[int], activation: str, code_size: int) -> None:
        super().__init__(parts, hidden_sizes, activation, 2 * code_size)
        self.decision = nn.Linear(code_size, 1)


class BottleneckDiscriminator(BaseDiscriminator):
    """D(z) on a code z ~ N(μ(x), σ²(x)) of the input x (Peng et al., 2019).

    The decision is linear, as in the paper's imitation, and so the score is normal itself: w·z + b ~ N(w·μ + b, Σ w² σ²).
    One draw a row is therefore as good as one for each dimension of the code. Where ``Encoded.noise`` holds none, the score
    is that of the mean code, which is what the paper's rewards are read from.

    What limits the information, and draws the noise, is ``InformationConstraint``.

    Args:
        encoder: what the score sees.
        hidden_sizes: widths before the code.
        activation: between the layers.
        code_size: dimensions of the code.

    Raises:
        ConfigurationError: a code without dimensions.
    """

    def __init__(
        self,
        encoder: InputEncoder,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
        code_size: int = 32,
    ) -> None:
        super().__init__(encoder, hidden_sizes, activation)
        if isinstance(code_size, bool) or not isinstance(code_size, int) or code_size < 1:
            raise ConfigurationError(f"code_size: given {code_size!r}, expected a whole number from 1")
        self.code_size = code_size
        self.network = BottleneckNetwork(encoder.parts, hidden_sizes, activation, code_size)
        self._codes: list[tuple[Tensor, Code]] = []  # by the features that were read
        self._keeps = False

    def code(self, encoded: Encoded) -> Code:
        """Mean and log-variance of each row's code."""
        features = encoded.rows()
        for read, code in self._codes:
            if read is features:
                return code
        mean, log_variance = self.network(features).chunk(2, dim=1)
        code = mean, log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)
        if self._keeps:
            self._codes.append((features, code))
        return code

    def score(self, encoded: Encoded) -> Tensor:
        """D's logit, ``(batch,)``: of a random code where the rows hold noise, else of the mean code."""
        mean, log_variance = self.code(encoded)
        scores = self.network.decision(mean).squeeze(1)
        if encoded.noise is None:
            return scores
        variance = torch.exp(log_variance) @ self.network.decision.weight.squeeze(0) ** 2
        return scores + torch.sqrt(variance + 1e-12) * encoded.noise  # the root has no slope at 0

    def score_sides(self, real: Encoded, fake: Encoded) -> tuple[Tensor, Tensor]:
        """Scores of each side by itself: its code is read again by what limits the information."""
        return self.score(real), self.score(fake)

    def information(self, encoded: Encoded) -> Tensor:
        """KL(N(μ, σ²) || N(0, 1)) = ½ Σ (μ² + σ² - 1 - log σ²) in nats, ``(batch,)``: on average it bounds I(x, z)."""
        mean, log_variance = self.code(encoded)
        return 0.5 * (mean**2 + torch.exp(log_variance) - 1 - log_variance).sum(dim=1)

    @contextmanager
    def reading_once(self) -> Iterator[None]:
        """Within it, the code of a matrix of features is computed once."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps, self._codes = False, []

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """The network of the code, which owns the decision."""
        return {self.network: self.encoder.parts}

    def config(self) -> dict[str, Any]:
        """JSON description."""
        return {
            "kind": "bottleneck",
            "inputs": list(self.encoder.fields),
            "hidden_sizes": list(self.hidden_sizes),
            "activation": self.activation,
            "code_size": self.code_size,
            "architecture": self.architecture,
        }
