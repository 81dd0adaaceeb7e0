"""Penalties as pure functions of scores, points and parameters, in encoded space (see ``inputs.Encoded``).

Gradients are taken with respect to the *samples* of a point, and samples are interpolated: the return samples if the score
reads returns given (s, a), otherwise all features.
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
"""Function that returns the norm of the score's gradient at each sample; see ``BaseDiscriminator.gradient_norms``."""


def gradient_norms(score: Score, points: Encoded) -> Tensor:
    """Return the norm of the score's gradient at each sample, ``(batch,)`` or ``(batch, n_returns)``, differentiable.

    Offsets drop out, because they do not depend on the samples.
    """
    samples = points.samples.detach().requires_grad_(True)
    scores = score(points.with_samples(samples))
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    if points.returns is not None:
        return gradient.abs()  # each return sample is a point on a line
    # The small constant keeps sqrt differentiable at a gradient of exactly 0.
    return torch.sqrt((gradient**2).sum(dim=1) + 1e-12)


def pair(real: Encoded, fake: Encoded, rng: torch.Generator) -> Encoded:
    """Return a real row for each fake row, drawn with replacement.

    Every fake row needs a partner: absorbing states come last in a batch, and the sides have different lengths if they
    contain different numbers of terminations. Return samples are not drawn: both sides hold samples of the same (s, a).
    """
    if real.returns is not None:
        return real
    return real[torch.randint(len(real), (len(fake),), generator=rng, device=real.features.device)]


def interpolate(real: Encoded, fake: Encoded, weights: Tensor) -> Encoded:
    """Return ``w real + (1 - w) fake`` for each row or sample; the sides have equal length and ``weights`` are in [0, 1].

    Return samples are interpolated at the real side's (s, a).
    """
    if real.returns is not None:
        assert fake.returns is not None
        return replace(real, returns=torch.lerp(fake.returns, real.returns, weights).detach())
    features = torch.lerp(fake.features, real.features, weights.unsqueeze(1))
    dones = torch.lerp(fake.dones, real.dones, weights)
    return Encoded(features.detach(), dones, torch.zeros_like(dones))


def gradient_penalty(norms: Norms, real: Encoded, fake: Encoded, weights: Tensor, center: float = 1.0) -> Tensor:
    """Return mean (‖∇D‖ - center)² at interpolates of real and fake.

    Gulrajani et al. (2017), equation 3, with ``center = 1``; Thanh-Tung et al. (2019), zero-centered, with ``center = 0``.
    The penalty acts on the *norm* of the gradient, not on the gradient itself.
    """
    return ((norms(interpolate(real, fake, weights)) - center) ** 2).mean()


def gradient_penalty_at(norms: Norms, points: Encoded) -> Tensor:
    """Return mean ‖∇D‖² at the points: R1 on real rows, R2 on fake ones (Mescheder et al., 2018, equations 9 and 10)."""
    return (norms(points) ** 2).mean()


def logit_entropy(log_ratios: Tensor) -> Tensor:
    """Return the mean entropy, in nats, of Bernoulli distributions with these logits; it is log 2 for logits of 0."""
    return binary_cross_entropy_with_logits(log_ratios, torch.sigmoid(log_ratios))


def historical_distance(parameters: Iterable[Tensor], averages: Iterable[Tensor]) -> Tensor:
    """Return ‖θ - θ̄‖², with θ̄ the mean of past parameters (Salimans et al., 2016, section 3.3)."""
    return torch.stack([((p - a) ** 2).sum() for p, a in zip(parameters, averages, strict=True)]).sum()
