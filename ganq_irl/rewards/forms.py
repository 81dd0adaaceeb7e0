"""Reward transforms of the discriminator's score.

With D = p_expert / (p_expert + p_policy) and l = log D - log(1 - D) = log p_expert / p_policy:

| form | reward | sign | from |
|---|---|---|---|
| ``gail`` | -log(1 - D) = softplus(l) | positive | Ho & Ermon (2016), algorithm 1: their D is 1 - D here, log D their cost |
| ``log-d`` | log D = -softplus(-l) | negative | Goodfellow et al. (2014), the non-saturating loss as a reward |
| ``logit`` | log D - log(1 - D) = l; for AIRL f - log π | both | Fu et al. (2018), algorithm 1; Kostrikov et al. (2019) |
| ``fairl`` | -l exp(l) | both | Ghasemipour et al. (2019), FAIRL |
| ``amp`` | 1 - (1 - D)² | positive | Peng et al. (2021), AMP: max(0, 1 - (D' - 1)²/4) with D' = 2D - 1 |
| ``score`` | the raw score | both | for losses without a log-ratio (Xiao et al., 2019) |
| ``f`` | f = g + γ (1 - d) h(s') - h(s) | both | Fu et al. (2018), equation 4 |
| ``g`` | g alone, the recovered reward | both | Fu et al. (2018), section 6 |

A reward of one sign is a bonus or a cost for every step of an episode. If episode lengths vary, this alone can explain a
score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganq_irl.discriminator import BaseDiscriminator, Encoded, Loss, ShapedDiscriminator
from ganq_irl.errors import ConfigurationError, nearest

Sign = Literal["positive", "negative", "both"]
_LARGEST_EXPONENT = 10.0  # for exp(l) in fairl: exp(10) = 22026 already exceeds any other reward by far


@dataclass(frozen=True)
class RewardForm:
    """A reward transform, one row of the table above.

    Attributes:
        name: the name in ``REWARD_FORMS``.
        sign: sign that the reward can take.
        of_log_ratio: transform of l, or None if the form does not use l.
        needs_shaped: whether it uses f or g, which only AIRL's discriminator has.

    Example:
        >>> from ganq_irl.rewards import build_reward_form
        >>> form = build_reward_form("gail")
        >>> form.sign, form.of_log_ratio(torch.zeros(1)).item()  # softplus(0) = log 2
        ('positive', 0.693...)
    """

    name: str
    sign: Sign
    of_log_ratio: Callable[[Tensor], Tensor] | None = None
    needs_shaped: bool = False

    @torch.no_grad()
    def __call__(self, discriminator: BaseDiscriminator, loss: Loss, encoded: Encoded, alive: float = 0.0) -> Tensor:
        """Return the reward of each row, ``(batch,)``. ``alive`` is added to every log-ratio, or to f or g."""
        if self.of_log_ratio is not None:
            return self.of_log_ratio(log_ratio(discriminator, loss, encoded) + alive)
        if self.needs_shaped:
            assert isinstance(discriminator, ShapedDiscriminator)
            return (discriminator.reward(encoded) if self.name == "g" else discriminator.shaped_reward(encoded)) + alive
        return discriminator.score(encoded)

    def of(self, log_ratio: float) -> float:
        """Return the reward of a state whose log-ratio is known, such as the absorbing state."""
        return log_ratio if self.of_log_ratio is None else float(self.of_log_ratio(torch.tensor(log_ratio)))

    @property
    def counts_ends(self) -> bool:
        """Return whether the reward is on the scale of a log-ratio, so that the log-ratio of ends can be added."""
        return self.of_log_ratio is not None or self.needs_shaped

    def needs_log_prob(self, discriminator: BaseDiscriminator) -> bool:
        """Return whether the reward depends on log π, which changes with the policy."""
        return isinstance(discriminator, ShapedDiscriminator) and not self.needs_shaped

    def check(self, discriminator: BaseDiscriminator, loss: Loss) -> None:
        """Check that this form can be computed from ``discriminator`` trained with ``loss``.

        Raises:
            ConfigurationError: it cannot; the message names a form that can.
        """
        shaped = isinstance(discriminator, ShapedDiscriminator)
        if self.needs_shaped and not shaped:
            raise ConfigurationError(
                f"the reward {self.name!r} needs AIRL's shaped discriminator; use AIRL, or the reward 'logit'",
                page="algorithms/airl",
            )
        if self.of_log_ratio is not None and not loss.has_log_ratio:
            use = "'f' or 'g'" if shaped else "'score'"
            raise ConfigurationError(
                f"the reward {self.name!r} needs a log-ratio, and the loss {loss.name!r} has none; "
                f"use the reward {use}, or a loss such as 'bce'",
                page="concepts/discriminator",
            )


def log_ratio(discriminator: BaseDiscriminator, loss: Loss, encoded: Encoded) -> Tensor:
    """Return log p_real / p_fake, ``(batch,)``: the score of a shaped discriminator, otherwise as the loss computes it.

    Example:
        >>> from ganq_irl.discriminator import build_loss
        >>> log_ratio(discriminator, build_loss("bce"), encoder(batch)).shape
        torch.Size([64])
    """
    scores = discriminator.score(encoded)
    return scores if discriminator.outputs_log_ratio else loss.log_ratio(scores)


def _fairl(log_ratios: Tensor) -> Tensor:
    return -log_ratios * torch.exp(log_ratios.clamp_max(_LARGEST_EXPONENT))


REWARD_FORMS: dict[str, RewardForm] = {
    form.name: form
    for form in (
        RewardForm("gail", "positive", softplus),
        RewardForm("log-d", "negative", lambda log_ratios: -softplus(-log_ratios)),
        RewardForm("logit", "both", lambda log_ratios: log_ratios),
        RewardForm("fairl", "both", _fairl),
        RewardForm("amp", "positive", lambda log_ratios: 1 - torch.sigmoid(-log_ratios) ** 2),
        RewardForm("score", "both"),
        RewardForm("f", "both", needs_shaped=True),
        RewardForm("g", "both", needs_shaped=True),
    )
}


def build_reward_form(name: str) -> RewardForm:
    """Return the form with this name.

    Raises:
        ConfigurationError: unknown name.

    Example:
        >>> build_reward_form("log-d").sign
        'negative'
    """
    if not isinstance(name, str) or name not in REWARD_FORMS:
        raise ConfigurationError(f"unknown reward {name!r}: {nearest(str(name), REWARD_FORMS)}")
    return REWARD_FORMS[name]
