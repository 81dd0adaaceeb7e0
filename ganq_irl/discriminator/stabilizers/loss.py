"""Stabilizers that change the elementwise losses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.losses import Loss
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers.base import Stabilizer, check_range


@dataclass(eq=False)
class LabelSmoothing(Stabilizer):
    """One-sided label smoothing: real rows have the label 1 - epsilon (Salimans et al., 2016, section 3.4).

    The loss of a real row is (1 - ε) real(score) + ε fake(score). For BCE this is cross-entropy with the label 1 - ε, and
    it extends the idea to every other loss. The optimal D becomes ((1 - ε) p) / (p + q), which compresses the log-ratio
    where real data dominate: use a small ε, or none, to recover rewards.
    """

    name = "label-smoothing"
    epsilon: float = 0.1

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Check the setting."""
        check_range(self.name, "epsilon", self.epsilon, 0.0, 0.5)

    def on_losses(
        self, loss: Loss, real_scores: Tensor, fake_scores: Tensor, losses: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Mix the fake loss into the loss of real rows."""
        real_losses, fake_losses = losses
        return (1 - self.epsilon) * real_losses + self.epsilon * loss.fake(real_scores), fake_losses
