"""Stabilizers that act on the parameters after each step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers.base import Stabilizer, check_range


@dataclass(eq=False)
class AveragedDiscriminator(Stabilizer):
    """Score with an exponential moving average of the discriminator (target networks, from actor-critic methods).

    The live discriminator keeps learning; the generator's rewards come from the average.
    """

    name = "averaged-discriminator"
    decay: float = 0.99

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Copy the discriminator."""
        check_range(self.name, "decay", self.decay, 0.0, 1.0)
        average = get_ema_multi_avg_fn(self.decay)
        self.average = AveragedModel(discriminator, multi_avg_fn=average, use_buffers=False)

    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Update the average; buffers (power iterations, running statistics) are copied."""
        self.average.update_parameters(discriminator)

    def averaged(self) -> BaseDiscriminator:
        """Return the average."""
        module = self.average.module
        assert isinstance(module, BaseDiscriminator)
        return module


@dataclass(eq=False)
class WeightClipping(Stabilizer):
    """Clip every parameter to [-bound, bound] (Arjovsky et al., 2017, algorithm 1)."""

    name = "weight-clipping"
    bound: float = 0.01

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Check the setting and clip the initial parameters."""
        check_range(self.name, "bound", self.bound, 1e-12, float("inf"))
        self.after_step(discriminator)

    @torch.no_grad()
    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Clip the parameters."""
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)
