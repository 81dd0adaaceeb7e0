"""Stabilizers that add a term to the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.penalties import gradient_penalty, gradient_penalty_at, historical_distance, logit_entropy, pair
from ganq_irl.discriminator.stabilizers.base import Stabilizer, Step, check_range


@dataclass(eq=False)
class Penalty(Stabilizer):
    """Base class for penalties with a weight."""

    weight: float = 1.0

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Check the weight."""
        check_range(self.name, "weight", self.weight, 0.0, float("inf"))


@dataclass(eq=False)
class GradientPenalty(Penalty):
    """Gradient penalty weight · mean (‖∇D‖ - 1)² at interpolates (Gulrajani et al., 2017, equation 3)."""

    name = "gradient-penalty"
    penalizes_gradient = True
    center: ClassVar[float] = 1.0
    weight: float = 10.0

    def penalty(self, step: Step) -> Tensor:
        """Return the weighted penalty."""
        weights = torch.rand(step.fake_scores.shape, generator=step.rng, device=step.fake_scores.device)
        real = pair(step.real, step.fake, step.rng)
        value = gradient_penalty(step.discriminator.gradient_norms, real, step.fake, weights, self.center)
        return self.weight * value


@dataclass(eq=False)
class ZeroCenteredGradientPenalty(GradientPenalty):
    """Zero-centered gradient penalty weight · mean ‖∇D‖² at interpolates (Thanh-Tung et al., 2019)."""

    name = "zero-centered-gradient-penalty"
    center: ClassVar[float] = 0.0


@dataclass(eq=False)
class RealGradientPenalty(Penalty):
    """R1 penalty weight / 2 · mean ‖∇D‖² at real rows (Mescheder et al., 2018, equation 9)."""

    name = "r1"
    penalizes_gradient = True
    weight: float = 10.0

    def penalty(self, step: Step) -> Tensor:
        """Return the weighted penalty."""
        return self.weight / 2 * gradient_penalty_at(step.discriminator.gradient_norms, step.real)


@dataclass(eq=False)
class FakeGradientPenalty(Penalty):
    """R2 penalty weight / 2 · mean ‖∇D‖² at fake rows (Mescheder et al., 2018, equation 10)."""

    name = "r2"
    penalizes_gradient = True
    weight: float = 10.0

    def penalty(self, step: Step) -> Tensor:
        """Return the weighted penalty."""
        return self.weight / 2 * gradient_penalty_at(step.discriminator.gradient_norms, step.fake)


@dataclass(eq=False)
class LogitEntropy(Penalty):
    """Entropy bonus on D's predictions, -weight · entropy (entropy regularization, from actor-critic methods)."""

    name = "logit-entropy"
    needs_log_ratio = True
    weight: float = 1e-3

    def penalty(self, step: Step) -> Tensor:
        """Return minus the weighted entropy."""
        scores = torch.cat([step.real_scores, step.fake_scores])
        return -self.weight * logit_entropy(step.loss.log_ratio(scores))


@dataclass(eq=False)
class HistoricalAveraging(Penalty):
    """Historical averaging, weight · ‖θ - mean of past θ‖² (Salimans et al., 2016, section 3.3)."""

    name = "historical-averaging"
    weight: float = 1e-2

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Initialize the averages with the current parameters."""
        self.count: Tensor
        super().attach(discriminator, reference)
        for index, parameter in enumerate(discriminator.parameters()):
            self.register_buffer(f"average_{index}", parameter.detach().clone())
        self.register_buffer("count", torch.ones((), device=parameter.device))

    def _averages(self) -> list[Tensor]:
        return [buffer for name, buffer in self.named_buffers() if name.startswith("average_")]

    def penalty(self, step: Step) -> Tensor:
        """Return the weighted squared distance."""
        return self.weight * historical_distance(step.discriminator.parameters(), self._averages())

    @torch.no_grad()
    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Update the averages."""
        self.count += 1
        for average, parameter in zip(self._averages(), discriminator.parameters(), strict=True):
            average.lerp_(parameter, 1.0 / self.count)
