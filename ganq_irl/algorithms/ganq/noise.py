"""The noise that return generators turn into samples: its grid, and its embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

N_GRID = 32
"""Points of the noise that stand for its distribution: where a mean of G is taken, or a statistic of it."""


def noise_grid(n: int = N_GRID) -> Tensor:
    """The (i + 1/2)/n quantiles of the standard normal distribution, ``(n,)``."""
    return torch.special.ndtri((torch.arange(n) + 0.5) / n)


class NoiseEmbedding(nn.Linear):
    """e(z) - ē, with e(z) = tanh(linear(z)) and ē its mean over a grid of the noise: over that grid its mean is 0.

    Args:
        dim: width of the embedding.
    """

    grid: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__(1, dim)
        self.register_buffer("grid", noise_grid(), persistent=False)

    def forward(self, noise: Tensor) -> Tensor:
        """``(n,) -> (n, dim)``."""
        embedded = torch.tanh(super().forward(torch.cat([noise, self.grid]).unsqueeze(1)))
        return embedded[: len(noise)] - embedded[len(noise) :].mean(dim=0)
