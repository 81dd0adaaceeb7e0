"""The critic of return samples and the scale of its inputs, which GAN-Q adds to a value learner."""

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
    """A critic that distinguishes samples of a Bellman target (real) from samples of a return model (fake).

    Args:
        learner: learner of the critic, on its device.
        centers: whether the critic sees distances from the return model's mean in units of the residuals,
            u = (x - m(s, a)) / σ, or plain returns.
    """

    def __init__(self, learner: DiscriminatorLearner, centers: bool = True) -> None:
        self.learner, self.centers = learner, centers
        self.residuals = ResidualScale().to(learner.discriminator.encoder.mean.device)

    def step(
        self, batch: Batch, targets: Tensor, means: Tensor, samples: Tensor, *, measures: bool = True
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Take a step of the critic, then return the loss for the return model.

        Args:
            batch: transitions as the critic's input, without returns.
            targets: samples of the Bellman target, ``(batch, n_samples)``.
            means: means of the return model, ``(batch, 1)``.
            samples: samples of the return model, ``(batch, n_samples)``, with gradient.
            measures: whether to compute metrics that the step itself does not need.

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
        """Return the critic and the residuals' scale as one module."""
        return nn.ModuleDict({"critic": self.learner.discriminator, "residuals": self.residuals})

    @property
    def optimization(self) -> CriticOptimization:
        """Return all other state of the critic's training."""
        return CriticOptimization(self.learner)


class ReturnAdversaries(tuple[ReturnAdversary, ...]):
    """One adversary per return model, saved together."""

    @property
    def networks(self) -> nn.Module:
        """Return all critics with their residuals' scales as one module."""
        return nn.ModuleList(adversary.networks for adversary in self)

    @property
    def optimization(self) -> CriticOptimization:
        """Return all other state of the critics' training."""
        return CriticOptimization(*(adversary.learner for adversary in self))


SAVED = ("networks", "optimization")
"""Attributes of both classes for SB3's ``get_parameters``: one holds tensors, the other is like an optimizer's state."""


class CriticOptimization:
    """Optimizers, stabilizers, random states and counters of critics, with the interface of an optimizer's state.

    Args:
        learners: learners of the critics.
    """

    def __init__(self, *learners: DiscriminatorLearner) -> None:
        self._learners = learners

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each learner except its network, by position."""
        states = [learner.state_dict() for learner in self._learners]
        return {
            str(index): {name: value for name, value in state.items() if name != "discriminator"}
            for index, state in enumerate(states)
        }

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore the result of ``state_dict``; the networks are unchanged."""
        for index, learner in enumerate(self._learners):
            network = learner.discriminator.state_dict()
            learner.load_state_dict({**state[str(index)], "discriminator": network}, strict)


def descend(
    loss: Tensor, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer, max_grad_norm: float | None
) -> None:
    """Take a gradient step on the loss for the return model's parameters only; the critic gets no gradient."""
    # A features extractor that is trained by the actor's loss is not part of this one.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if max_grad_norm is not None:
        clip_grad_norm_(parameters, max_grad_norm)
    optimizer.step()


def return_model_metrics(loss: Tensor, means: Tensor, samples: Tensor) -> dict[str, Tensor]:
    """Return metrics of a return model: its loss, its mean value, and the deviation of samples from it."""
    means, samples = means.detach(), samples.detach()
    return {"generator_loss": loss.detach(), "value": means.mean(), "spread": (samples - means).square().mean().sqrt()}
