"""Discriminators: inputs, networks, losses, penalties, stabilizers, and the learner that trains them.

Every algorithm of the toolkit trains a discriminator that scores real data above fake data. This package depends on torch
and spaces only; it knows no environment, policy or algorithm.
"""

from __future__ import annotations

from ganq_irl.discriminator.bottleneck import BottleneckDiscriminator
from ganq_irl.discriminator.build import build_discriminator, fixed_copy
from ganq_irl.discriminator.ensemble import EnsembleDiscriminator, SegmentDiscriminator
from ganq_irl.discriminator.inputs import (
    FIELDS,
    STATE,
    STATE_ACTION,
    STATE_ACTION_RETURN,
    STATE_ACTION_STATE,
    STATE_TRANSITION,
    Encoded,
    InputEncoder,
)
from ganq_irl.discriminator.learner import DiscriminatorLearner
from ganq_irl.discriminator.losses import LOSSES, Loss, build_loss
from ganq_irl.discriminator.networks import (
    ACTIVATIONS,
    BaseDiscriminator,
    Discriminator,
    ScalarNetwork,
    ShapedDiscriminator,
)
from ganq_irl.discriminator.return_discriminator import ReturnDiscriminator
from ganq_irl.discriminator.stabilizers import STABILIZERS, Stabilizer, build_stabilizer

__all__ = [
    "ACTIVATIONS",
    "FIELDS",
    "LOSSES",
    "STABILIZERS",
    "STATE",
    "STATE_ACTION",
    "STATE_ACTION_RETURN",
    "STATE_ACTION_STATE",
    "STATE_TRANSITION",
    "BaseDiscriminator",
    "BottleneckDiscriminator",
    "Discriminator",
    "DiscriminatorLearner",
    "Encoded",
    "EnsembleDiscriminator",
    "InputEncoder",
    "Loss",
    "ReturnDiscriminator",
    "ScalarNetwork",
    "SegmentDiscriminator",
    "ShapedDiscriminator",
    "Stabilizer",
    "build_discriminator",
    "build_loss",
    "build_stabilizer",
    "fixed_copy",
]
