"""Stabilizers that decide whether the discriminator learns from a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers.base import Stabilizer, check_range


@dataclass(eq=False)
class Freezing(Stabilizer):
    """Skip the step while the discriminator is too strong ("freezing learning" in Pfau & Vinyals, 2016).

    Args:
        ceiling: mean accuracy of both sides above which the discriminator does not learn.
    """

    name = "freezing"
    ceiling: float = 0.9

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Check the setting."""
        check_range(self.name, "ceiling", self.ceiling, 0.5, 1.0)

    def allows_step(self, metrics: Mapping[str, Tensor]) -> bool:
        """Return whether the accuracy is at most the ceiling."""
        return bool((metrics["real_accuracy"] + metrics["fake_accuracy"]) / 2 <= self.ceiling)


@dataclass(eq=False)
class Frozen(Stabilizer):
    """Never learn: a control that shows how far a fixed, random score gets on an environment."""

    name = "frozen"
    freezes = True

    def allows_step(self, metrics: Mapping[str, Tensor]) -> bool:
        """Return False."""
        return False
