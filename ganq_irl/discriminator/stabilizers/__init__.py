"""Stabilizers from the literature on GANs and actor-critic methods, grouped by when they act in an update.

The list follows Pfau & Vinyals (2016), "Connecting generative adversarial networks and actor-critic methods", and adds later
ones. Two rows of their table are not modules: two time-scales are the learning rates of discriminator and generator, and
compatibility (a critic whose features are the policy's score function) does not carry over to GANs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ganq_irl.discriminator.stabilizers.after_step import AveragedDiscriminator, WeightClipping
from ganq_irl.discriminator.stabilizers.architecture import (
    BatchNorm,
    MinibatchDiscriminating,
    SpectralNorm,
    VirtualBatchNormalization,
)
from ganq_irl.discriminator.stabilizers.base import Stabilizer, Step
from ganq_irl.discriminator.stabilizers.batch import FakeReplay, InstanceNoise
from ganq_irl.discriminator.stabilizers.gate import Freezing, Frozen
from ganq_irl.discriminator.stabilizers.information import InformationConstraint
from ganq_irl.discriminator.stabilizers.loss import LabelSmoothing
from ganq_irl.discriminator.stabilizers.penalty import (
    FakeGradientPenalty,
    GradientPenalty,
    HistoricalAveraging,
    LogitEntropy,
    RealGradientPenalty,
    ZeroCenteredGradientPenalty,
)
from ganq_irl.discriminator.stabilizers.scale import SpaceRange
from ganq_irl.errors import ConfigurationError, nearest

STABILIZERS: dict[str, type[Stabilizer]] = {
    stabilizer.name: stabilizer
    for stabilizer in (
        AveragedDiscriminator,
        BatchNorm,
        FakeGradientPenalty,
        FakeReplay,
        Freezing,
        Frozen,
        GradientPenalty,
        HistoricalAveraging,
        InstanceNoise,
        LabelSmoothing,
        LogitEntropy,
        MinibatchDiscriminating,
        RealGradientPenalty,
        SpaceRange,
        SpectralNorm,
        VirtualBatchNormalization,
        WeightClipping,
        ZeroCenteredGradientPenalty,
    )
}

StabilizerSpec = str | Mapping[str, Any] | Stabilizer

__all__ = [
    "STABILIZERS",
    "InformationConstraint",
    "Stabilizer",
    "StabilizerSpec",
    "Step",
    "build_stabilizer",
    "build_stabilizers",
]


def build_stabilizers(specs: Sequence[StabilizerSpec]) -> list[Stabilizer]:
    """Build each stabilizer of a list; see ``build_stabilizer``.

    Raises:
        ConfigurationError: ``specs`` is not a list, or one of them is invalid.
    """
    if isinstance(specs, str | Mapping) or not isinstance(specs, Iterable):
        raise ConfigurationError(f"stabilizers: given {specs!r}; expected a list, such as ['spectral-norm']")
    return [build_stabilizer(spec) for spec in specs]


def build_stabilizer(spec: StabilizerSpec) -> Stabilizer:
    """Build a stabilizer from its name or from ``{"name": ..., setting: value, ...}``; an instance is returned unchanged.

    Raises:
        ConfigurationError: unknown name or setting, or a wrong type.

    Example:
        >>> build_stabilizer({"name": "r1", "weight": 5.0}).weight
        5.0
    """
    if isinstance(spec, Stabilizer):
        return spec
    if not isinstance(spec, str | Mapping):
        raise ConfigurationError(
            f"stabilizers: given {spec!r}; expected names such as 'spectral-norm', or tables such as "
            "{'name': 'r1', 'weight': 10.0}"
        )
    settings = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in STABILIZERS:
        raise ConfigurationError(f"unknown stabilizer {name!r}: {nearest(str(name), STABILIZERS)}")
    known = [field.name for field in fields(STABILIZERS[name])]
    for setting in settings:
        if setting not in known:
            hint = nearest(setting, known) if known else "it has no settings"
            raise ConfigurationError(f"stabilizer {name!r} has no setting {setting!r}: {hint}")
    return STABILIZERS[name](**settings)
