"""Stabilisers that change the elementwise losses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.losses import Loss
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers.base import Stabilizer, check_range


@dataclass(eq=False)
class LabelSmoothing(Stabilizer):
    """One-sided label smoothing (Salimans et al., 2016, section 3.4): real rows carry the label 1 - epsilon.

    A real row costs (1 - ε) real(score) + ε fake(score): for BCE that is cross-entropy with the label 1 - ε, and it says the
    same of every other loss. The optimal D becomes ((1 - ε) p) / (p + q), so a log-ratio read from it is squashed where
    real data dominate; recover rewards with a small ε, or none.
    """

    name = "label-smoothing"
    epsilon: float = 0.1

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Check the setting."""
        check_range(self.name, "epsilon", self.epsilon, 0.0, 0.5)

    def on_losses(
        self, loss: Loss, real_scores: Tensor, fake_scores: Tensor, losses: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Mix the fake loss into the real side."""
        real_losses, fake_losses = losses
        return (1 - self.epsilon) * real_losses + self.epsilon * loss.fake(real_scores), fake_losses
