"""Adversarial losses. Each is one frozen dataclass that owns both players and the meaning of its score.

Real first, fake second; a high score means real. Everything is elementwise over ``(batch,)``; the learner averages.
``log_ratio`` turns a score into log p_real / p_fake at the discriminator's optimum, which is what rewards are made of.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

from ganq_irl.errors import ConfigurationError, nearest

_SMALLEST = 1e-6  # ratios are clipped here before a logarithm, |log ratio| <= 13.8
_LARGEST_EXPONENT = 20.0


def _exp(x: Tensor) -> Tensor:
    """exp(x), continued by its tangent above 20: finite wherever AIRL's -log π goes, and never without a gradient."""
    return torch.exp(x.clamp_max(_LARGEST_EXPONENT)) * (1 + relu(x - _LARGEST_EXPONENT))


class Loss(ABC):
    """One adversarial game.

    Attributes:
        name: as in ``LOSSES``.
        has_log_ratio: whether a score determines log p_real / p_fake.
    """

    name: ClassVar[str]
    has_log_ratio: ClassVar[bool] = True

    @abstractmethod
    def real(self, scores: Tensor) -> Tensor:
        """What the discriminator minimises on real rows."""

    @abstractmethod
    def fake(self, scores: Tensor) -> Tensor:
        """What the discriminator minimises on fake rows."""

    @abstractmethod
    def generator(self, fake_scores: Tensor) -> Tensor:
        """What a generator minimises through the scores of its attached samples; the non-saturating form of two."""

    def log_ratio(self, scores: Tensor) -> Tensor:
        """log p_real / p_fake implied by a score, if the discriminator is optimal."""
        raise ConfigurationError(
            f"the loss {self.name!r} gives scores without a probability, so no log-ratio for a reward; "
            f"use the reward 'score', or one of the losses {', '.join(sorted(with_log_ratio()))}"
        )

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """The score that says a given log p_real / p_fake: the inverse of ``log_ratio``; the identity where there is none.

        A shaped discriminator states the log-ratio itself, f - log π, and this hands it to the loss in the loss's terms.
        """
        return log_ratios

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """The score that separates real from fake, a scalar: where p_real = p_fake."""
        return torch.zeros((), device=real_scores.device)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Goodfellow et al. (2014), equation 1, on the logit: D = sigmoid(score), D* = p / (p + q), so log p/q = score."""

    name: ClassVar[str] = "bce"

    def real(self, scores: Tensor) -> Tensor:
        """-log D = softplus(-score)."""
        return softplus(-scores)

    def fake(self, scores: Tensor) -> Tensor:
        """-log(1 - D) = softplus(score)."""
        return softplus(scores)

    def generator(self, fake_scores: Tensor) -> Tensor:
        """-log D, the non-saturating form (their section 3)."""
        return softplus(-fake_scores)

    def log_ratio(self, scores: Tensor) -> Tensor:
        """The score itself."""
        return scores


@dataclass(frozen=True)
class LeastSquares(Loss):
    """Mao et al. (2017), equation 2 with targets 1 for real and 0 for fake: D* = p / (p + q) is the score itself."""

    name: ClassVar[str] = "least-squares"

    def real(self, scores: Tensor) -> Tensor:
        """(score - 1)² / 2."""
        return 0.5 * (scores - 1) ** 2

    def fake(self, scores: Tensor) -> Tensor:
        """score² / 2."""
        return 0.5 * scores**2

    def generator(self, fake_scores: Tensor) -> Tensor:
        """(score - c)² / 2 with c = 1 (their equation 9)."""
        return 0.5 * (fake_scores - 1) ** 2

    def log_ratio(self, scores: Tensor) -> Tensor:
        """log s / (1 - s), s clipped into (0, 1)."""
        return torch.logit(scores, eps=_SMALLEST)

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """sigmoid."""
        return torch.sigmoid(log_ratios)

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Half way between the targets."""
        return torch.full((), 0.5, device=real_scores.device)


@dataclass(frozen=True)
class Wasserstein(Loss):
    """Arjovsky et al. (2017), equation 2. The score is defined up to a constant and has no log-ratio.

    It needs a Lipschitz bound: add ``spectral-norm``, ``gradient-penalty`` or ``weight-clipping``.
    """

    name: ClassVar[str] = "wasserstein"
    has_log_ratio: ClassVar[bool] = False

    def real(self, scores: Tensor) -> Tensor:
        """-score."""
        return -scores

    def fake(self, scores: Tensor) -> Tensor:
        """+score."""
        return scores

    def generator(self, fake_scores: Tensor) -> Tensor:
        """-score."""
        return -fake_scores

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Half way between the two means, since the critic's zero means nothing."""
        return (real_scores.mean() + fake_scores.mean()) / 2


@dataclass(frozen=True)
class Hinge(Loss):
    """Lim & Ye (2017), Miyato et al. (2018): equation 16. No log-ratio: at the optimum the score is a sign."""

    name: ClassVar[str] = "hinge"
    has_log_ratio: ClassVar[bool] = False

    def real(self, scores: Tensor) -> Tensor:
        """max(0, 1 - score)."""
        return relu(1 - scores)

    def fake(self, scores: Tensor) -> Tensor:
        """max(0, 1 + score)."""
        return relu(1 + scores)

    def generator(self, fake_scores: Tensor) -> Tensor:
        """-score."""
        return -fake_scores


class FDivergence(Loss):
    """Variational f-divergence D_f(p_real || p_fake) (Nowozin et al., 2016, equations 4 and 6, table 2).

    The score v goes through the output activation T = g_f(v); the discriminator maximises E_real[T] - E_fake[f*(T)]. At the
    optimum T = f'(p / q), from which each subclass reads its log-ratio. The generator maximises E_fake[T] (their section
    3.2), which does not saturate.
    """

    @abstractmethod
    def activation(self, scores: Tensor) -> Tensor:
        """T = g_f(score), into the domain of the conjugate."""

    @abstractmethod
    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """f*(g_f(score)), simplified so that it neither overflows nor divides by zero."""

    def real(self, scores: Tensor) -> Tensor:
        """-T."""
        return -self.activation(scores)

    def fake(self, scores: Tensor) -> Tensor:
        """f*(T)."""
        return self.conjugate_of_activation(scores)

    def generator(self, fake_scores: Tensor) -> Tensor:
        """-T."""
        return -self.activation(fake_scores)


@dataclass(frozen=True)
class KullbackLeibler(FDivergence):
    """KL(p || q): f(u) = u log u, T = v, f*(t) = exp(t - 1). T* = 1 + log p/q."""

    name: ClassVar[str] = "kl"

    def activation(self, scores: Tensor) -> Tensor:
        """v."""
        return scores

    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """exp(v - 1)."""
        return _exp(scores - 1)

    def log_ratio(self, scores: Tensor) -> Tensor:
        """v - 1."""
        return scores - 1

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """1 + log ratio."""
        return 1 + log_ratios

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """f'(1) = 1."""
        return torch.ones((), device=real_scores.device)


@dataclass(frozen=True)
class ReverseKullbackLeibler(FDivergence):
    """KL(q || p): f(u) = -log u, T = -exp(-v), f*(t) = -1 - log(-t). T* = -q/p, so v = log p/q.

    The paper's table writes T = -exp(v); the sign of v is turned so that a high score means real.
    """

    name: ClassVar[str] = "reverse-kl"

    def activation(self, scores: Tensor) -> Tensor:
        """-exp(-v)."""
        return -_exp(-scores)

    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """-1 - log exp(-v) = v - 1."""
        return scores - 1

    def log_ratio(self, scores: Tensor) -> Tensor:
        """v."""
        return scores


@dataclass(frozen=True)
class JensenShannon(FDivergence):
    """JS (twice it): f(u) = u log u - (1 + u) log((1 + u) / 2), T = log 2 - softplus(-v), f*(t) = -log(2 - exp t).

    T* = log 2p/(p + q), so v = log p/q: binary cross-entropy less log 4.
    """

    name: ClassVar[str] = "js"

    def activation(self, scores: Tensor) -> Tensor:
        """log 2 + log sigmoid(v)."""
        return math.log(2) + logsigmoid(scores)

    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """-log(2 - 2 sigmoid(v)) = softplus(v) - log 2."""
        return softplus(scores) - math.log(2)

    def log_ratio(self, scores: Tensor) -> Tensor:
        """v."""
        return scores


@dataclass(frozen=True)
class PearsonChiSquared(FDivergence):
    """Pearson's chi squared: f(u) = (u - 1)², T = v, f*(t) = t²/4 + t. T* = 2 (p/q - 1)."""

    name: ClassVar[str] = "chi-squared"

    def activation(self, scores: Tensor) -> Tensor:
        """v."""
        return scores

    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """v²/4 + v."""
        return 0.25 * scores**2 + scores

    def log_ratio(self, scores: Tensor) -> Tensor:
        """log(1 + v/2), the ratio clipped away from zero: no ratio is below v = -2."""
        return torch.log((1 + scores / 2).clamp_min(_SMALLEST))

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """2 (ratio - 1)."""
        return 2 * (_exp(log_ratios) - 1)


@dataclass(frozen=True)
class SquaredHellinger(FDivergence):
    """Squared Hellinger: f(u) = (√u - 1)², T = 1 - exp(-v), f*(t) = t / (1 - t). T* = 1 - √(q/p), so v = log √(p/q)."""

    name: ClassVar[str] = "hellinger"

    def activation(self, scores: Tensor) -> Tensor:
        """1 - exp(-v)."""
        return 1 - _exp(-scores)

    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """(1 - exp(-v)) / exp(-v) = exp(v) - 1."""
        return _exp(scores) - 1

    def log_ratio(self, scores: Tensor) -> Tensor:
        """2v."""
        return 2 * scores

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """Half the log ratio."""
        return log_ratios / 2


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        BinaryCrossEntropy,
        LeastSquares,
        Wasserstein,
        Hinge,
        KullbackLeibler,
        ReverseKullbackLeibler,
        JensenShannon,
        PearsonChiSquared,
        SquaredHellinger,
    )
}


def with_log_ratio() -> list[str]:
    """Names of the losses that rewards can read a log-ratio from."""
    return [name for name, loss in LOSSES.items() if loss.has_log_ratio]


def build_loss(loss: str | Loss) -> Loss:
    """A loss by its name in ``LOSSES``; an instance passes through.

    Raises:
        ConfigurationError: unknown name.
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ConfigurationError(f"unknown loss {loss!r}: {nearest(str(loss), LOSSES)}")
    return LOSSES[loss]()
