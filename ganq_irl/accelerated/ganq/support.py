"""Decide where the accelerated update is exact; everything else uses autograd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from gymnasium import spaces
from torch import Tensor, nn

from ganq_irl.accelerated.core import (
    reasons_of_extractor,
    reasons_of_layers,
    reasons_of_methods,
    reasons_of_observations,
    reasons_of_optimizer,
    reasons_of_parameters,
)
from ganq_irl.discriminator import DiscriminatorLearner, ReturnDiscriminator
from ganq_irl.discriminator.losses import Wasserstein
from ganq_irl.discriminator.stabilizers.penalty import ZeroCenteredGradientPenalty
from ganq_irl.generators.acceleration import FLAT_OBSERVATIONS, why_changed
from ganq_irl.networks.q_networks import ActionOutputs
from ganq_irl.networks.return_models import LocationShapeModel


class ReturnLearner(Protocol):
    """Interface of a value learner that can be accelerated.

    Attributes:
        adversary: the critic's ``learner``, the scale of the ``residuals``, and whether it ``centers`` samples.
        policy: policy whose ``optimizer`` trains ``q_net``.
        q_net: return model that is trained.
        q_net_target: target network of the return model.
        q_net_average: averaged return model, which acts.
    """

    adversary: Any
    policy: Any
    q_net: Any
    q_net_target: Any
    q_net_average: Any
    device: torch.device
    observation_space: spaces.Space
    max_grad_norm: float | None
    average_rate: float
    double_q: bool
    td_weight: float

    def draw_noise(self) -> Tensor:
        """Draw the noise of a minibatch, ``(n_samples,)``."""


def why_slow(model: ReturnLearner) -> str | None:
    """Return the first reason why the accelerated update would not be exact; None if it is."""
    return next(_reasons(model), None)


def _reasons(model: ReturnLearner) -> Iterator[str]:
    changed = why_changed(FLAT_OBSERVATIONS)
    if changed is not None:
        yield changed
    learner = model.adversary.learner
    if model.device.type != "cpu":
        yield f"the device {model.device}"
    if not model.adversary.centers:
        yield "samples that are not centered"
    if type(learner.loss) is not Wasserstein:
        yield f"the loss {learner.loss.name!r}"
    if [type(stabilizer) for stabilizer in learner.stabilizers] != [ZeroCenteredGradientPenalty]:
        yield "other stabilizers than the zero-centered gradient penalty"
    yield from reasons_of_methods(learner, DiscriminatorLearner, ["update"])
    yield from reasons_of_observations(model.observation_space)
    yield from _reasons_of_return_models(model)
    yield from _reasons_of_critic(learner.discriminator)
    for owner, network in ((model.policy, model.q_net), (learner, learner.discriminator)):
        yield from reasons_of_parameters(network)
        yield from reasons_of_optimizer(owner.optimizer, network.parameters())
        if any(parameter.dtype != torch.float32 for parameter in network.parameters()):
            yield "parameters that are not float32"


def _reasons_of_return_models(model: ReturnLearner) -> Iterator[str]:
    for network in (model.q_net, model.q_net_target, model.q_net_average):
        if type(network) is not LocationShapeModel:
            yield f"a return model of class {type(network).__name__}"
            return
        hidden = network.q_net[0]
        yield from reasons_of_extractor(network.features_extractor)
        if type(hidden) is not ActionOutputs:
            yield f"actions by {type(hidden).__name__}"
        elif not len(hidden.base):
            yield "no hidden layers"
        else:
            yield from reasons_of_layers(list(hidden.base))


def _reasons_of_critic(critic: nn.Module) -> Iterator[str]:
    if type(critic) is not ReturnDiscriminator:
        yield f"a critic of class {type(critic).__name__}"
    elif critic.network.extractor is not None or critic.network.reference is not None:
        yield "a critic that looks at images or at reference rows"
    elif critic.encoder._standardizes:
        yield "a critic that standardizes"
    else:
        yield from reasons_of_layers(list(critic.network.layers))
