"""Build discriminators from their JSON description, and make copies whose scores never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized

from ganq_irl.discriminator.bottleneck import BottleneckDiscriminator
from ganq_irl.discriminator.ensemble import EnsembleDiscriminator
from ganq_irl.discriminator.inputs import InputEncoder
from ganq_irl.discriminator.networks import BaseDiscriminator, Discriminator, ShapedDiscriminator
from ganq_irl.discriminator.stabilizers import STABILIZERS, build_stabilizer
from ganq_irl.errors import ConfigurationError


def build_discriminator(
    observation_space: spaces.Space, action_space: spaces.Space, config: Mapping[str, Any]
) -> BaseDiscriminator:
    """Build the discriminator that ``config()`` described, including the layers that its stabilizers added.

    Raises:
        ConfigurationError: unknown kind of discriminator, or invalid settings.

    Example:
        >>> same = build_discriminator(env.observation_space, env.action_space, discriminator.config())
        >>> same.load_state_dict(discriminator.state_dict())
        <All keys matched successfully>
    """
    discriminator = _build_networks(observation_space, action_space, config)
    for spec in config["architecture"]:
        build_stabilizer(spec).attach(discriminator, reference=None)
    return discriminator


def fixed_copy(discriminator: BaseDiscriminator) -> BaseDiscriminator:
    """Return a copy whose scores never change: it has no gradients and stays in evaluation mode after ``train()``.

    Weights that the original computes in each forward pass, as in spectral normalization, are plain tensors in the copy.

    Example:
        >>> fixed = fixed_copy(discriminator)
        >>> any(parameter.requires_grad for parameter in fixed.parameters())
        False
    """
    config = discriminator.config()
    plain = [spec for spec in config["architecture"] if not STABILIZERS[spec["name"]].reparametrizes]
    encoder = discriminator.encoder
    with torch.random.fork_rng(devices=[]):  # the random initial weights are overwritten
        copied = build_discriminator(encoder.observation_space, encoder.action_space, {**config, "architecture": plain})
    copied.to(encoder.mean.device).load_state_dict(_computed_weights(discriminator))
    return copied.fix()


def _build_networks(
    observation_space: spaces.Space, action_space: spaces.Space, config: Mapping[str, Any]
) -> BaseDiscriminator:
    encoder = InputEncoder(observation_space, action_space, config["inputs"])
    widths, activation = config["hidden_sizes"], config["activation"]
    if config["kind"] == "plain":
        return Discriminator(encoder, widths, activation)
    if config["kind"] == "shaped":
        return ShapedDiscriminator(encoder, config["reward_inputs"], config["discount"], widths, activation)
    if config["kind"] == "bottleneck":
        return BottleneckDiscriminator(encoder, widths, activation, config["code_size"])
    if config["kind"] == "ensemble":
        return EnsembleDiscriminator(encoder, widths, activation, config["n_members"])
    raise ConfigurationError(f"unknown kind of discriminator {config['kind']!r}; known: bottleneck, ensemble, plain, shaped")


@torch.no_grad()
def _computed_weights(discriminator: BaseDiscriminator) -> dict[str, Tensor]:
    """Return the state dict, with every parametrized tensor replaced by its value in evaluation mode."""
    was_training = discriminator.training
    discriminator.eval()
    state = {name: tensor for name, tensor in discriminator.state_dict().items() if ".parametrizations." not in name}
    for path, module in discriminator.named_modules():
        if is_parametrized(module):
            state |= {f"{path}.{name}": getattr(module, name) for name in module.parametrizations}
    discriminator.train(was_training)
    return state
