"""Decide where the written-out update of a discriminator is exact; everything else goes through autograd."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ganq_irl.accelerated.core import reasons_of_layers, reasons_of_methods, reasons_of_optimizer, reasons_of_parameters
from ganq_irl.discriminator import BaseDiscriminator, Discriminator, DiscriminatorLearner
from ganq_irl.discriminator.losses import BinaryCrossEntropy
from ganq_irl.discriminator.stabilizers.penalty import (
    FakeGradientPenalty,
    GradientPenalty,
    RealGradientPenalty,
    ZeroCenteredGradientPenalty,
)

PENALTIES = (RealGradientPenalty, FakeGradientPenalty, GradientPenalty, ZeroCenteredGradientPenalty)
_PIECEWISE_LINEAR = (nn.Linear, nn.ReLU, nn.LeakyReLU)


def why_slow(learner: DiscriminatorLearner) -> str | None:
    """Return the first reason why the written-out update would not be exact; None if it is."""
    return next(_reasons(learner), None)


def _reasons(learner: DiscriminatorLearner) -> Iterator[str]:
    discriminator = learner.discriminator
    if discriminator.encoder.mean.device.type != "cpu":
        yield f"the device {discriminator.encoder.mean.device}"
    yield from reasons_of_methods(learner, DiscriminatorLearner, ["update"])
    if type(learner.loss) is not BinaryCrossEntropy:
        yield f"the loss {learner.loss.name!r}"
    stabilizers = list(learner.stabilizers)
    for stabilizer in stabilizers:
        if type(stabilizer) not in PENALTIES:
            yield f"the stabilizer {stabilizer.name!r}"
    if len(stabilizers) > 1:
        yield "more than one penalty"
    yield from _reasons_of_discriminator(discriminator)
    yield from reasons_of_parameters(discriminator)
    yield from reasons_of_optimizer(learner.optimizer, discriminator.parameters())


def _reasons_of_discriminator(discriminator: BaseDiscriminator) -> Iterator[str]:
    if type(discriminator) is not Discriminator:
        yield f"a discriminator of class {type(discriminator).__name__}"
        return
    if "returns" in discriminator.encoder.fields:
        yield "return samples"
    network = discriminator.network
    if network.extractor is not None or network.reference is not None:
        yield "a discriminator that looks at images or at reference rows"
    layers = list(network.layers)
    yield from reasons_of_layers(layers)
    for layer in layers:
        if not isinstance(layer, _PIECEWISE_LINEAR):
            yield f"a {type(layer).__name__} layer"
