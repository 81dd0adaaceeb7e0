"""The noise that return models turn into samples: its grid, and its embedding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

N_GRID = 32
"""Points of the noise that stand for its distribution: where a mean of G is taken, or a statistic of it."""

_SMOOTHEST, _STEEPEST = 1.0, 10.0
_GOLDEN = (5**0.5 - 1) / 2
_SMALLEST = 2**-24


def noise_grid(n: int = N_GRID) -> Tensor:
    """The (i + 1/2)/n quantiles of the standard normal distribution, ``(n,)``."""
    return torch.special.ndtri((torch.arange(n) + 0.5) / n)


def normal_noise(n: int, rng: torch.Generator) -> Tensor:
    """Independent draws of the standard normal distribution, ``(n,)``."""
    return torch.randn(n, generator=rng, device=rng.device)


def stratified_noise(n: int, rng: torch.Generator) -> Tensor:
    """A draw from each n-th of the standard normal distribution, ``(n,)`` in rising order.

    Any one of them, chosen at random, is standard normal; together they cover the law as evenly as n draws can, so that a
    minibatch's mean over samples scatters less.
    """
    within = torch.rand(n, generator=rng, device=rng.device)
    levels = (torch.arange(n, device=rng.device) + within) / n
    return torch.special.ndtri(levels.clamp(_SMALLEST, 1 - _SMALLEST))  # 0 and 1 are infinitely far


NOISE: dict[str, Callable[[int, torch.Generator], Tensor]] = {"normal": normal_noise, "stratified": stratified_noise}
"""How the noise of a minibatch is drawn, by name."""


def _spread(n: int) -> Tensor:
    """``(n,)`` numbers that fill [0, 1), neighbors far apart: multiples of the golden ratio, their whole part dropped."""
    return torch.arange(n) * _GOLDEN % 1.0


class NoiseEmbedding(nn.Linear):
    """e(z) - ē, with e(z) = tanh(linear(z)) and ē its mean over a grid of the noise: over that grid its mean is 0.

    A sample is a sum of these units: a quantile function, which is smooth where the law is and jumps where it has a gap. So
    they begin as steps, their centers spread over the quantiles of the noise and their slopes from 1, smooth, to 10, a jump.

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
        """``(n,) -> (n, dim)``."""
        embedded = torch.tanh(super().forward(torch.cat([noise, self.grid]).unsqueeze(1)))
        return embedded[: len(noise)] - embedded[len(noise) :].mean(dim=0)
