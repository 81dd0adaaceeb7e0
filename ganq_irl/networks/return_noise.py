"""The noise of return models: its grid, and its embedding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

N_GRID = 32
"""Number of points that represent the noise's distribution, for the mean of G and other statistics."""

_SMOOTHEST, _STEEPEST = 1.0, 10.0
_GOLDEN = (5**0.5 - 1) / 2
_SMALLEST = 2**-24


def noise_grid(n: int = N_GRID) -> Tensor:
    """Return the (i + 1/2)/n quantiles of the standard normal distribution, ``(n,)``."""
    return torch.special.ndtri((torch.arange(n) + 0.5) / n)


def normal_noise(n: int, rng: torch.Generator) -> Tensor:
    """Return independent samples of the standard normal distribution, ``(n,)``."""
    return torch.randn(n, generator=rng, device=rng.device)


def stratified_noise(n: int, rng: torch.Generator) -> Tensor:
    """Return a sample from each n-th of the standard normal distribution, ``(n,)`` in ascending order.

    Each of them, chosen at random, is standard normal. Together they cover the distribution evenly, which reduces the
    variance of a minibatch's mean over samples.
    """
    within = torch.rand(n, generator=rng, device=rng.device)
    levels = (torch.arange(n, device=rng.device) + within) / n
    return torch.special.ndtri(levels.clamp(_SMALLEST, 1 - _SMALLEST))  # the quantiles of 0 and 1 are infinite


NOISE: dict[str, Callable[[int, torch.Generator], Tensor]] = {"normal": normal_noise, "stratified": stratified_noise}
"""Name -> function that draws the noise of a minibatch."""


def _spread(n: int) -> Tensor:
    """Return ``(n,)`` numbers that fill [0, 1), neighbors far apart: fractional parts of multiples of the golden ratio."""
    return torch.arange(n) * _GOLDEN % 1.0


class NoiseEmbedding(nn.Linear):
    """e(z) - ē, with e(z) = tanh(linear(z)) and ē its mean over a grid of the noise, over which the mean is therefore 0.

    A sample is a sum of these units: a quantile function, which is smooth, or jumps at a gap of the distribution. So the
    units are initialized as steps, with centers spread over the quantiles of the noise, and slopes from 1 (smooth) to 10 (a
    jump).

    Args:
        dim: width of the embedding.
    """

    grid: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__(1, dim)
        with torch.no_grad():
            slopes = _SMOOTHEST * (_STEEPEST / _SMOOTHEST) ** _spread(dim)
            self.weight.copy_(slopes.unsqueeze(1))
            self.bias.copy_(-slopes * noise_grid(dim))
        self.register_buffer("grid", noise_grid(), persistent=False)

    def forward(self, noise: Tensor) -> Tensor:
        """Map ``(n,)`` to ``(n, dim)``."""
        embedded = torch.tanh(super().forward(torch.cat([noise, self.grid]).unsqueeze(1)))
        return embedded[: len(noise)] - embedded[len(noise) :].mean(dim=0)
