"""A critic of return samples, with the unit that it sees them in: what GAN-Q adds to a value learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ganq_irl.algorithms.ganq.residuals import ResidualScale
from ganq_irl.discriminator import DiscriminatorLearner
from ganq_irl.types import Batch


class ReturnAdversary:
    """A critic that tells samples of a Bellman target, the real ones, from a generator's.

    Args:
        learner: of the critic, on its device.
        centers: whether it sees both as distances from the generator's mean, in the residuals' unit, u = (x - m(s, a)) / σ,
            or the returns as they are.
    """

    def __init__(self, learner: DiscriminatorLearner, centers: bool = True) -> None:
        self.learner, self.centers = learner, centers
        self.residuals = ResidualScale().to(learner.discriminator.encoder.mean.device)

    def step(
        self, batch: Batch, targets: Tensor, means: Tensor, samples: Tensor, *, measures: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        """One critic step, then the loss that the generator descends.

        Args:
            batch: transitions as the critic takes them, without returns.
            targets: samples of the Bellman target, ``(batch, n_samples)``.
            means: the generator's, ``(batch, 1)``.
            samples: the generator's, ``(batch, n_samples)``, attached.
            measures: whether metrics are wanted that the step itself does not need.

        Returns:
            The learner's metrics before the step, and the generator's loss, a scalar.
        """
        if self.learner.n_updates == 0:
            self.learner.refer_to(replace(batch, returns=torch.zeros_like(targets)))
        real, fake = self._as_seen(batch, targets, means.detach(), samples)
        metrics = self.learner.update(real, fake, measures=measures)
        return metrics, self.learner.generator_loss(fake)

    def _as_seen(self, batch: Batch, targets: Tensor, means: Tensor, samples: Tensor) -> tuple[Batch, Batch]:
        if not self.centers:
            return replace(batch, returns=targets), replace(batch, returns=samples)
        real, fake = targets - means, samples - means
        scale = self.residuals.update(real, fake.detach())
        return replace(batch, returns=real / scale), replace(batch, returns=fake / scale)

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes."""
        return {"learner": self.learner.state_dict(), "residuals": self.residuals.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore what ``state_dict`` gave."""
        self.learner.load_state_dict(state["learner"], strict)
        self.residuals.load_state_dict(state["residuals"], strict)


class ReturnAdversaries(tuple[ReturnAdversary, ...]):
    """One adversary for each of several generators, saved as one."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes, by position."""
        return {str(index): adversary.state_dict() for index, adversary in enumerate(self)}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore what ``state_dict`` gave."""
        for index, adversary in enumerate(self):
            adversary.load_state_dict(state[str(index)], strict)


def descend(
    loss: Tensor, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer, max_grad_norm: float | None
) -> None:
    """A step down the loss in the generator's parameters alone: the critic that it went through keeps no gradient."""
    # A features extractor that an actor's loss teaches has no part in this one.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if max_grad_norm is not None:
        clip_grad_norm_(parameters, max_grad_norm)
    optimizer.step()


def generator_metrics(loss: Tensor, means: Tensor, samples: Tensor) -> dict[str, Tensor]:
    """What a log shows of a generator: its loss, its values' mean, and the deviation of samples from their mean."""
    means, samples = means.detach(), samples.detach()
    return {"generator_loss": loss.detach(), "value": means.mean(), "spread": (samples - means).square().mean().sqrt()}
