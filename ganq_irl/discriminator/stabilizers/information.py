"""The constraint that makes a bottleneck of a bottleneck discriminator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ganq_irl.discriminator.bottleneck import BottleneckDiscriminator
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers.base import Stabilizer, Step, check_range
from ganq_irl.errors import ConfigurationError


@dataclass(eq=False)
class InformationConstraint(Stabilizer):
    """At most ``capacity`` nats about a row in its code, by dual gradient descent (Peng et al., 2019).

    The discriminator minimises its loss + β (information - capacity), the information taken over both sides alike, and β
    climbs the same gap after each step: β <- max(0, β + rate · (information - capacity)).

    It draws the noise of the code as well, so it comes last of all stabilisers: what others put into the batch gets its own.

    Args:
        capacity: I_c, in nats.
        rate: step of β.
        initial: β at the start.
    """

    name = "information"
    capacity: float = 0.5
    rate: float = 1e-3
    initial: float = 0.1

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Start β."""
        self.beta: Tensor
        self.information: Tensor
        for setting in ("capacity", "rate", "initial"):
            check_range(self.name, setting, getattr(self, setting), 0.0, float("inf"))
        if not isinstance(discriminator, BottleneckDiscriminator):
            raise ConfigurationError("'information' is a constraint on VAIL's bottleneck discriminator; leave it out")
        device = discriminator.encoder.mean.device
        self.register_buffer("beta", torch.tensor(float(self.initial), device=device))
        self.register_buffer("information", torch.zeros((), device=device))

    def on_batch(self, real: Encoded, fake: Encoded, generator: torch.Generator) -> tuple[Encoded, Encoded]:
        """Draw the noise of both sides' codes."""
        return _noisy(real, generator), _noisy(fake, generator)

    def penalty(self, step: Step) -> Tensor:
        """β (information - capacity)."""
        discriminator = step.discriminator
        assert isinstance(discriminator, BottleneckDiscriminator)
        sides = discriminator.information(step.real).mean(), discriminator.information(step.fake).mean()
        information = (sides[0] + sides[1]) / 2
        self.information.copy_(information.detach())
        return self.beta * (information - self.capacity)

    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Move β."""
        self.beta.copy_((self.beta + self.rate * (self.information - self.capacity)).clamp_min(0))


def _noisy(side: Encoded, generator: torch.Generator) -> Encoded:
    return replace(side, noise=torch.randn(len(side), generator=generator, device=side.features.device))
