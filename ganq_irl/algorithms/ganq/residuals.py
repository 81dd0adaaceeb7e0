"""The scale of return samples at the input of GAN-Q's critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualScale(nn.Module):
    """Running root mean square of the distances of real and fake samples from the return model's mean.

    The scale of returns differs between environments, and changes during training. The critic's units in x, its penalty and
    the return model's gradient are relative to this scale.

    Args:
        decay: weight of the past at each update.
        floor: lower bound, so that noise is not amplified if all returns are known exactly.
    """

    mean_square: Tensor
    weight: Tensor

    def __init__(self, decay: float = 0.99, floor: float = 1e-3) -> None:
        super().__init__()
        self.decay, self.floor = decay, floor
        self.register_buffer("mean_square", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def update(self, real: Tensor, fake: Tensor) -> Tensor:
        """Add the residuals of a batch and return the new scale, a scalar tensor."""
        square = 0.5 * (real.square().mean() + fake.square().mean())
        self.mean_square.lerp_(square, 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        return self.scale

    @property
    def scale(self) -> Tensor:
        """Return the debiased root mean square, a scalar tensor; the floor before the first update."""
        return (self.mean_square / self.weight.clamp_min(1e-12)).sqrt().clamp_min(self.floor)
