"""Information constraint of the bottleneck discriminator."""

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
    """Limit the information in the code to ``capacity`` nats by dual gradient descent (Peng et al., 2019).

    The discriminator minimizes its loss + β (information - capacity), where the information is the mean of both sides. After
    each step β <- max(0, β + rate · (information - capacity)).

    It also draws the noise of the code. It must be the last stabilizer, so that rows added by others get noise too.

    Args:
        capacity: I_c, in nats.
        rate: step size of β.
        initial: initial β.
    """

    name = "information"
    capacity: float = 0.5
    rate: float = 1e-3
    initial: float = 0.1

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Initialize β."""
        self.beta: Tensor
        self.information: Tensor
        for setting in ("capacity", "rate", "initial"):
            check_range(self.name, setting, getattr(self, setting), 0.0, float("inf"))
        if not isinstance(discriminator, BottleneckDiscriminator):
            raise ConfigurationError("'information' works only with VAIL's bottleneck discriminator; leave it out")
        device = discriminator.encoder.mean.device
        self.register_buffer("beta", torch.tensor(float(self.initial), device=device))
        self.register_buffer("information", torch.zeros((), device=device))

    def on_batch(self, real: Encoded, fake: Encoded, rng: torch.Generator) -> tuple[Encoded, Encoded]:
        """Draw the noise for the codes of both sides."""
        return _noisy(real, rng), _noisy(fake, rng)

    def penalty(self, step: Step) -> Tensor:
        """Return β (information - capacity)."""
        discriminator = step.discriminator
        assert isinstance(discriminator, BottleneckDiscriminator)
        sides = discriminator.information(step.real).mean(), discriminator.information(step.fake).mean()
        information = (sides[0] + sides[1]) / 2
        self.information.copy_(information.detach())
        return self.beta * (information - self.capacity)

    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Update β."""
        self.beta.copy_((self.beta + self.rate * (self.information - self.capacity)).clamp_min(0))


def _noisy(side: Encoded, rng: torch.Generator) -> Encoded:
    return replace(side, noise=torch.randn(len(side), generator=rng, device=side.features.device))
