"""A critic of return samples, with the unit that it sees them in: what GAN-Q adds to a value learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from ganq_irl.algorithms.ganq.residuals import ResidualScale
from ganq_irl.discriminator import DiscriminatorLearner
from ganq_irl.types import Batch


class ReturnAdversary:
    """A critic that tells samples of a Bellman target, the real ones, from those of a return model.

    Args:
        learner: of the critic, on its device.
        centers: whether it sees both as distances from the return model's mean in the residuals' unit,
            u = (x - m(s, a)) / σ, or the returns as they are.
    """

    def __init__(self, learner: DiscriminatorLearner, centers: bool = True) -> None:
        self.learner, self.centers = learner, centers
        self.residuals = ResidualScale().to(learner.discriminator.encoder.mean.device)

    def step(
        self, batch: Batch, targets: Tensor, means: Tensor, samples: Tensor, *, measures: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Take one critic step, then return the loss that the return model descends.

        Args:
            batch: transitions as the critic takes them, without returns.
            targets: samples of the Bellman target, ``(batch, n_samples)``.
            means: the return model's, ``(batch, 1)``.
            samples: the return model's, ``(batch, n_samples)``, attached.
            measures: whether metrics are wanted that the step itself does not need.

        Returns:
            The learner's metrics before the step, and the return model's loss, a scalar.
        """
        if self.learner.n_updates == 0:
            self.learner.fit_reference(replace(batch, returns=torch.zeros_like(targets)))
        real, fake = self._as_seen(batch, targets, means.detach(), samples)
        metrics = self.learner.update(real, fake, measures=measures)
        return metrics, self.learner.generator_loss(fake)

    def _as_seen(self, batch: Batch, targets: Tensor, means: Tensor, samples: Tensor) -> tuple[Batch, Batch]:
        if not self.centers:
            return replace(batch, returns=targets), replace(batch, returns=samples)
        real, fake = targets - means, samples - means
        scale = self.residuals.update(real, fake.detach())
        return replace(batch, returns=real / scale), replace(batch, returns=fake / scale)

    @property
    def networks(self) -> nn.Module:
        """The critic and the residuals' scale, as one module."""
        return nn.ModuleDict({"critic": self.learner.discriminator, "residuals": self.residuals})

    @property
    def optimization(self) -> CriticOptimization:
        """All else that a critic's learning changes."""
        return CriticOptimization(self.learner)


class ReturnAdversaries(tuple[ReturnAdversary, ...]):
    """One adversary for each of several return models, saved as one."""

    @property
    def networks(self) -> nn.Module:
        """All critics, each with its residuals' scale, as one module."""
        return nn.ModuleList(adversary.networks for adversary in self)

    @property
    def optimization(self) -> CriticOptimization:
        """All else that the critics' learning changes."""
        return CriticOptimization(*(adversary.learner for adversary in self))


SAVED = ("networks", "optimization")
"""Attributes of either that SB3's ``get_parameters`` lists: one holds tensors, the other is like an optimizer's state."""


class CriticOptimization:
    """Optimizers, stabilizers, random states and counters of critics, saved and loaded like an optimizer's state.

    Args:
        learners: of the critics.
    """

    def __init__(self, *learners: DiscriminatorLearner) -> None:
        self._learners = learners

    def state_dict(self) -> dict[str, Any]:
        """The state of each learner but for its network, by position."""
        states = [learner.state_dict() for learner in self._learners]
        return {
            str(index): {name: value for name, value in state.items() if name != "discriminator"}
            for index, state in enumerate(states)
        }

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore what ``state_dict`` gave; the networks stay as they are."""
        for index, learner in enumerate(self._learners):
            network = learner.discriminator.state_dict()
            learner.load_state_dict({**state[str(index)], "discriminator": network}, strict)


def descend(
    loss: Tensor, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer, max_grad_norm: float | None
) -> None:
    """Take a step down the loss in the return model's parameters alone; the critic gets no gradient."""
    # A features extractor that an actor's loss teaches has no part in this one.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if max_grad_norm is not None:
        clip_grad_norm_(parameters, max_grad_norm)
    optimizer.step()


def return_model_metrics(loss: Tensor, means: Tensor, samples: Tensor) -> dict[str, Tensor]:
    """Return what is logged of a return model: its loss, its mean value, and the deviation of samples from it."""
    means, samples = means.detach(), samples.detach()
    return {"generator_loss": loss.detach(), "value": means.mean(), "spread": (samples - means).square().mean().sqrt()}
