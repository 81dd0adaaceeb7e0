"""Stabilisers that act when the demonstrations have said how inputs are scaled."""

from __future__ import annotations

from dataclasses import dataclass

from ganq_irl.discriminator.inputs import InputEncoder
from ganq_irl.discriminator.stabilizers.base import Stabilizer


@dataclass(eq=False)
class SpaceRange(Stabilizer):
    """Scale no input so finely that values within the bounds of its space are cut off.

    Inputs are counted in the demonstrations' deviations and cut at 10 of them. A demonstration that hardly moves makes these
    so small that all else is beyond the cut and looks the same: the score then says that something is wrong, and not which
    way is better. With this a bounded column is divided by at least a tenth of the distance from its mean to its farther
    bound. Columns without bounds stay as they are, and so do demonstrations that use a fair part of the space.
    """

    name = "space-range"

    def on_statistics(self, encoder: InputEncoder) -> None:
        """Raise the deviations that are too small."""
        encoder.reach_bounds()
