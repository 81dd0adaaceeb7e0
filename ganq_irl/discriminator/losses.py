"""Adversarial losses. Each is a frozen dataclass with the losses of both players and the meaning of its score.

Real comes first, fake second; a high score means real. Losses are elementwise over ``(batch,)``; the learner averages them.
``log_ratio`` turns the score of an optimal discriminator into log p_real / p_fake, from which rewards are computed.
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

_SMALLEST = 1e-6  # ratios are clipped to this before taking the logarithm, |log ratio| <= 13.8
_LARGEST_EXPONENT = 20.0


def _exp(x: Tensor) -> Tensor:
    """Return exp(x), replaced by its tangent above 20: AIRL's -log π can be large, and the gradient must not vanish."""
    return torch.exp(x.clamp_max(_LARGEST_EXPONENT)) * (1 + relu(x - _LARGEST_EXPONENT))


class Loss(ABC):
    """Base class for adversarial losses.

    Attributes:
        name: the name in ``LOSSES``.
        has_log_ratio: whether log p_real / p_fake can be computed from a score.

    Example:
        >>> loss = build_loss("bce")
        >>> loss.real(torch.zeros(2))  # log 2 each: a score of 0 is a guess
        tensor([0.6931, 0.6931])
    """

    name: ClassVar[str]
    has_log_ratio: ClassVar[bool] = True

    @abstractmethod
    def real(self, scores: Tensor) -> Tensor:
        """Return the discriminator's loss on real rows."""

    @abstractmethod
    def fake(self, scores: Tensor) -> Tensor:
        """Return the discriminator's loss on fake rows."""

    @abstractmethod
    def generator(self, fake_scores: Tensor) -> Tensor:
        """Return the generator's loss on the scores of its attached samples, in its non-saturating form."""

    def of_sides(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the discriminator's losses on the rows of both sides."""
        return self.real(real_scores), self.fake(fake_scores)

    def log_ratio(self, scores: Tensor) -> Tensor:
        """Return log p_real / p_fake, given the score of an optimal discriminator."""
        raise ConfigurationError(
            f"the loss {self.name!r} gives no log-ratio, which this reward needs; "
            f"use the reward 'score', or one of the losses {', '.join(sorted(with_log_ratio()))}"
        )

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """Return the score for a given log p_real / p_fake: the inverse of ``log_ratio``, or the identity if there is none.

        A shaped discriminator outputs the log-ratio f - log π itself; this converts it to the score that the loss expects.
        """
        return log_ratios

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Return the score at which p_real = p_fake, a scalar."""
        return torch.zeros((), device=real_scores.device)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy on the logit (Goodfellow et al., 2014, equation 1).

    D = sigmoid(score) and D* = p / (p + q), so log p/q = score.
    """

    name: ClassVar[str] = "bce"

    def real(self, scores: Tensor) -> Tensor:
        """-log D = softplus(-score)."""
        return softplus(-scores)

    def fake(self, scores: Tensor) -> Tensor:
        """-log(1 - D) = softplus(score)."""
        return softplus(scores)

    def generator(self, fake_scores: Tensor) -> Tensor:
        """-log D, the non-saturating form (section 3 of the paper)."""
        return softplus(-fake_scores)

    def log_ratio(self, scores: Tensor) -> Tensor:
        """Return the score unchanged."""
        return scores


@dataclass(frozen=True)
class LeastSquares(Loss):
    """Least squares with targets 1 for real and 0 for fake (Mao et al., 2017, equation 2).

    The score itself is D* = p / (p + q).
    """

    name: ClassVar[str] = "least-squares"

    def real(self, scores: Tensor) -> Tensor:
        """(score - 1)² / 2."""
        return 0.5 * (scores - 1) ** 2

    def fake(self, scores: Tensor) -> Tensor:
        """score² / 2."""
        return 0.5 * scores**2

    def generator(self, fake_scores: Tensor) -> Tensor:
        """(score - c)² / 2 with c = 1 (equation 9 of the paper)."""
        return 0.5 * (fake_scores - 1) ** 2

    def log_ratio(self, scores: Tensor) -> Tensor:
        """log s / (1 - s), with s clipped to (0, 1)."""
        return torch.logit(scores, eps=_SMALLEST)

    def score_of(self, log_ratios: Tensor) -> Tensor:
        """sigmoid(log ratio)."""
        return torch.sigmoid(log_ratios)

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Return the mean of the targets, 1/2."""
        return torch.full((), 0.5, device=real_scores.device)


class OfDifferences(Loss):
    """Base class for losses in which only differences of scores count, so that there is no log-ratio."""

    has_log_ratio: ClassVar[bool] = False

    def generator(self, fake_scores: Tensor) -> Tensor:
        """-score."""
        return -fake_scores

    def midpoint(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Return the mean of the two sides' mean scores: the zero of the score is arbitrary."""
        return (real_scores.mean() + fake_scores.mean()) / 2


@dataclass(frozen=True)
class Wasserstein(OfDifferences):
    """Wasserstein loss (Arjovsky et al., 2017, equation 2).

    The discriminator needs a Lipschitz bound: add ``spectral-norm``, ``gradient-penalty`` or ``weight-clipping``.
    """

    name: ClassVar[str] = "wasserstein"

    def real(self, scores: Tensor) -> Tensor:
        """-score."""
        return -scores

    def fake(self, scores: Tensor) -> Tensor:
        """+score."""
        return scores


@dataclass(frozen=True)
class Hinge(Loss):
    """Hinge loss (Lim & Ye, 2017; Miyato et al., 2018, equation 16). It has no log-ratio: the optimal score is a sign."""

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


@dataclass(frozen=True)
class BradleyTerry(OfDifferences):
    """Loss of comparisons: row i of real was preferred to row i of fake (Christiano et al., 2017, equation 1).

    The loss of a pair is -log((1 - ε) sigmoid(real - fake) + ε / 2): with probability ε, an answer is a coin flip (section
    2.2.3 of the paper, ε = 0.1). With ε = 0, it is that of a relativistic GAN (Jolicoeur-Martineau, 2018, RSGAN).
    """

    name: ClassVar[str] = "bradley-terry"
    mistake_rate: float = 0.1

    def __post_init__(self) -> None:
        """Check the rate."""
        if not 0 <= self.mistake_rate <= 1:
            raise ConfigurationError(f"mistake_rate: given {self.mistake_rate}; expected a probability, from 0 to 1")

    def real(self, scores: Tensor) -> Tensor:
        """-log((1 - ε) sigmoid(score) + ε / 2), the loss of a pair whose other score is 0."""
        true, chance = scores.new_tensor([1 - self.mistake_rate, self.mistake_rate / 2]).log()
        return -torch.logaddexp(true + logsigmoid(scores), chance)

    def fake(self, scores: Tensor) -> Tensor:
        """-log((1 - ε) sigmoid(-score) + ε / 2)."""
        return self.real(-scores)

    def of_sides(self, real_scores: Tensor, fake_scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return half of each pair's loss for each of its rows."""
        if real_scores.shape != fake_scores.shape:
            counts = f"given {len(real_scores)} real and {len(fake_scores)} fake ones"
            raise ConfigurationError(f"the loss {self.name!r} compares rows in pairs: {counts}; use another, such as 'bce'")
        halves = self.real(real_scores - fake_scores) / 2
        return halves, halves


class FDivergence(Loss):
    """Variational f-divergence D_f(p_real || p_fake) (Nowozin et al., 2016, equations 4 and 6, table 2).

    The score v is mapped to T = g_f(v) by an output activation; the discriminator maximizes E_real[T] - E_fake[f*(T)]. At
    the optimum T = f'(p / q), from which each subclass computes its log-ratio. The generator maximizes E_fake[T] (section
    3.2 of the paper), which does not saturate.
    """

    @abstractmethod
    def activation(self, scores: Tensor) -> Tensor:
        """Return T = g_f(score), in the domain of the conjugate."""

    @abstractmethod
    def conjugate_of_activation(self, scores: Tensor) -> Tensor:
        """Return f*(g_f(score)), simplified so that it neither overflows nor divides by zero."""

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

    The paper's table writes T = -exp(v); here v has the opposite sign, so that a high score means real.
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
    """Twice the Jensen-Shannon divergence: f(u) = u log u - (1 + u) log((1 + u) / 2).

    T = log 2 - softplus(-v), f*(t) = -log(2 - exp t). T* = log 2p/(p + q), so v = log p/q. Both sum to bce - log 4.
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
        """log(1 + v/2), with the ratio clipped above zero: v = -2 is a ratio of 0."""
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
        """log ratio / 2."""
        return log_ratios / 2


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        *(BinaryCrossEntropy, LeastSquares, Wasserstein, Hinge, BradleyTerry),
        *(KullbackLeibler, ReverseKullbackLeibler, JensenShannon, PearsonChiSquared, SquaredHellinger),
    )
}


def with_log_ratio() -> list[str]:
    """Return the names of the losses that have a log-ratio."""
    return [name for name, loss in LOSSES.items() if loss.has_log_ratio]


def build_loss(loss: str | Loss) -> Loss:
    """Return the loss named in ``LOSSES``; an instance is returned unchanged.

    Raises:
        ConfigurationError: unknown name.

    Example:
        >>> build_loss("hinge").name
        'hinge'
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ConfigurationError(f"unknown loss {loss!r}: {nearest(str(loss), LOSSES)}")
    return LOSSES[loss]()
