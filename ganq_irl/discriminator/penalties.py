"""Penalties as pure functions of scores, points and parameters. They act in encoded space (see ``inputs.Encoded``).

What a gradient is taken in, and what is interpolated, are the *samples* of a point: return samples where the score judges
returns, given their (s, a), and all features otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ganq_irl.discriminator.inputs import Encoded

Score = Callable[[Encoded], Tensor]
Norms = Callable[[Encoded], Tensor]
"""Norm of a score's gradient at each sample, differentiable in its parameters: ``BaseDiscriminator.gradient_norms``."""


def gradient_norms(score: Score, points: Encoded) -> Tensor:
    """Norm of the score's gradient in each sample, ``(batch,)`` or ``(batch, n_returns)``, differentiable.

    Offsets drop out: they do not depend on the samples.
    """
    samples = points.samples.detach().requires_grad_(True)
    scores = score(points.with_samples(samples))
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    if points.returns is not None:
        return gradient.abs()  # each return sample is a point of its own, on a line
    # The small constant keeps the root differentiable where the gradient is exactly 0.
    return torch.sqrt((gradient**2).sum(dim=1) + 1e-12)


def pair(real: Encoded, fake: Encoded, rng: torch.Generator) -> Encoded:
    """Return a real row for each fake row, drawn with replacement.

    No fake row may be left without a partner: absorbing states come last in a batch, and the sides differ in length as soon
    as they differ in how many episodes end. Return samples keep their places, as both sides hold samples of the same (s, a).
    """
    if real.returns is not None:
        return real
    return real[torch.randint(len(real), (len(fake),), generator=rng, device=real.features.device)]


def interpolate(real: Encoded, fake: Encoded, weights: Tensor) -> Encoded:
    """``w real + (1 - w) fake`` row by row, or sample by sample, for sides of equal length and ``weights`` in [0, 1].

    Return samples are interpolated at the real side's (s, a).
    """
    if real.returns is not None:
        assert fake.returns is not None
        return replace(real, returns=torch.lerp(fake.returns, real.returns, weights).detach())
    features = torch.lerp(fake.features, real.features, weights.unsqueeze(1))
    dones = torch.lerp(fake.dones, real.dones, weights)
    return Encoded(features.detach(), dones, torch.zeros_like(dones))


def gradient_penalty(norms: Norms, real: Encoded, fake: Encoded, weights: Tensor, center: float = 1.0) -> Tensor:
    """mean (‖∇D‖ - center)² at random interpolates of real and fake.

    Gulrajani et al. (2017), equation 3, with ``center = 1``; Thanh-Tung et al. (2019), zero-centred, with ``center = 0``.
    The gradient's *norm* is held near the centre, not the gradient itself.
    """
    return ((norms(interpolate(real, fake, weights)) - center) ** 2).mean()


def gradient_penalty_at(norms: Norms, points: Encoded) -> Tensor:
    """mean ‖∇D‖² at the points: R1 on real rows, R2 on fake ones (Mescheder et al., 2018, equations 9 and 10)."""
    return (norms(points) ** 2).mean()


def logit_entropy(log_ratios: Tensor) -> Tensor:
    """Mean entropy, in nats, of Bernoulli distributions with these logits; log 2 where the sides cannot be told apart."""
    return binary_cross_entropy_with_logits(log_ratios, torch.sigmoid(log_ratios))


def historical_distance(parameters: Iterable[Tensor], averages: Iterable[Tensor]) -> Tensor:
    """‖θ - θ̄‖², θ̄ the mean of past parameters (Salimans et al., 2016, section 3.3)."""
    return torch.stack([((p - a) ** 2).sum() for p, a in zip(parameters, averages, strict=True)]).sum()
