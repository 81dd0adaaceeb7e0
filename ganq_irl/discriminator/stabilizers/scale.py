"""Stabilizers that adjust the scaling of inputs."""

from __future__ import annotations

from dataclasses import dataclass

from ganq_irl.discriminator.inputs import InputEncoder
from ganq_irl.discriminator.stabilizers.base import Stabilizer


@dataclass(eq=False)
class SpaceRange(Stabilizer):
    """Lower bound on the standard deviation of bounded inputs, so that values within their space are not clipped.

    Inputs are divided by the standard deviation of the demonstrations and clipped at 10. If the demonstrations hardly vary,
    almost every other value is clipped and looks the same: the score then detects a difference but not a direction. With
    this stabilizer a bounded column is divided by at least a tenth of the distance from its mean to its farther bound.
    Unbounded columns do not change, nor do demonstrations that cover a fair part of the space.
    """

    name = "space-range"

    def on_statistics(self, encoder: InputEncoder) -> None:
        """Raise standard deviations that are too small."""
        encoder.reach_bounds()
