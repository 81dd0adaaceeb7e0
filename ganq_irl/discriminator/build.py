"""Discriminators from the JSON that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from ganq_irl.discriminator.bottleneck import BottleneckDiscriminator
from ganq_irl.discriminator.inputs import InputEncoder
from ganq_irl.discriminator.networks import BaseDiscriminator, Discriminator, ShapedDiscriminator
from ganq_irl.errors import ConfigurationError


def build_discriminator(
    observation_space: spaces.Space, action_space: spaces.Space, config: Mapping[str, Any]
) -> BaseDiscriminator:
    """Build the bare networks that a discriminator's ``config()`` describes; its architecture is not attached yet.

    Raises:
        ConfigurationError: another kind of discriminator, or settings that it does not take.
    """
    encoder = InputEncoder(observation_space, action_space, config["inputs"])
    widths, activation = config["hidden_sizes"], config["activation"]
    if config["kind"] == "plain":
        return Discriminator(encoder, widths, activation)
    if config["kind"] == "shaped":
        return ShapedDiscriminator(encoder, config["reward_inputs"], config["discount"], widths, activation)
    if config["kind"] == "bottleneck":
        return BottleneckDiscriminator(encoder, widths, activation, config["code_size"])
    raise ConfigurationError(f"unknown kind of discriminator {config['kind']!r}; known: bottleneck, plain, shaped")
