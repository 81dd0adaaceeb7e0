"""Penalties as pure functions of scores, points and parameters. They act in encoded space (see ``inputs.Encoded``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ganq_irl.discriminator.inputs import Encoded

Score = Callable[[Encoded], Tensor]


def gradient_norms(score: Score, points: Encoded) -> Tensor:
    """Norm of the score's gradient in the features of each point, ``(batch,)``, differentiable.

    Offsets drop out: they do not depend on the features.
    """
    features = points.features.detach().requires_grad_(True)
    scores = score(points.with_features(features))
    (gradient,) = torch.autograd.grad(scores.sum(), features, create_graph=True)
    # The small constant keeps the root differentiable where the gradient is exactly 0.
    return torch.sqrt((gradient**2).sum(dim=1) + 1e-12)


def interpolate(real: Encoded, fake: Encoded, weights: Tensor) -> Encoded:
    """``w real + (1 - w) fake`` row by row, ``weights`` of ``(batch,)`` in [0, 1]; the longer side is cut."""
    rows = min(len(real), len(fake))
    w = weights[:rows]
    features = torch.lerp(fake.features[:rows], real.features[:rows], w.unsqueeze(1))
    dones = torch.lerp(fake.dones[:rows], real.dones[:rows], w)
    return Encoded(features.detach(), dones, torch.zeros_like(dones))


def gradient_penalty(score: Score, real: Encoded, fake: Encoded, weights: Tensor, center: float = 1.0) -> Tensor:
    """mean (‖∇D‖ - center)² at random interpolates of real and fake.

    Gulrajani et al. (2017), equation 3, with ``center = 1``; Thanh-Tung et al. (2019), zero-centred, with ``center = 0``.
    The gradient's *norm* is held near the centre, not the gradient itself.
    """
    return ((gradient_norms(score, interpolate(real, fake, weights)) - center) ** 2).mean()


def gradient_penalty_at(score: Score, points: Encoded) -> Tensor:
    """mean ‖∇D‖² at the points: R1 on real rows, R2 on fake ones (Mescheder et al., 2018, equations 9 and 10)."""
    return (gradient_norms(score, points) ** 2).mean()


def logit_entropy(log_ratios: Tensor) -> Tensor:
    """Mean entropy, in nats, of Bernoulli distributions with these logits; log 2 where the sides cannot be told apart."""
    return binary_cross_entropy_with_logits(log_ratios, torch.sigmoid(log_ratios))


def historical_distance(parameters: Iterable[Tensor], averages: Iterable[Tensor]) -> Tensor:
    """‖θ - θ̄‖², θ̄ the mean of past parameters (Salimans et al., 2016, section 3.3)."""
    return torch.stack([((p - a) ** 2).sum() for p, a in zip(parameters, averages, strict=True)]).sum()
