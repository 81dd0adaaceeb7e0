"""Discriminator networks: the plain discriminator and AIRL's shaped one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Self

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space_channels_first
from stable_baselines3.common.torch_layers import NatureCNN
from torch import Tensor, nn

from ganq_irl.discriminator.inputs import Encoded, InputEncoder, Part, contiguous
from ganq_irl.discriminator.penalties import gradient_norms
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.types import Batch

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "leaky-relu": partial(nn.LeakyReLU, 0.2),  # the usual slope for GANs (Radford et al., 2016)
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


class ImageExtractor(nn.Module):
    """Apply SB3's NatureCNN to the image columns of a flat matrix and pass the other columns through."""

    def __init__(self, parts: Sequence[Part], cnn_features: int = 128) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.cnns = nn.ModuleList(NatureCNN(_channels_first(part.space), cnn_features) for part in parts if part.is_image)
        self.out_features = sum(cnn_features if part.is_image else part.width for part in parts)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, flat width) -> (batch, out_features)``."""
        cnns = iter(self.cnns)
        return torch.cat([self._read(x, part, cnns) for part in self.parts], dim=1)

    def _read(self, x: Tensor, part: Part, cnns: Iterator[nn.Module]) -> Tensor:
        flat = x[:, part.columns]
        if not part.is_image:
            return flat
        assert isinstance(part.space, spaces.Box)
        image = flat.view(-1, *part.space.shape)
        if not is_image_space_channels_first(part.space):
            image = image.permute(0, 3, 1, 2)
        return next(cnns)(image)


class Network(nn.Module):
    """MLP over the columns of some parts, with a CNN in front for each image.

    ``layers`` is a ``Sequential`` of (Linear, activation) pairs and a final Linear; architecture stabilizers edit it. With
    virtual batch normalization, ``reference`` holds the rows that are prepended to every input.
    """

    reference: Tensor | None

    def __init__(self, parts: Sequence[Part], hidden_sizes: Sequence[int], activation: str, out_features: int = 1) -> None:
        super().__init__()
        self.extractor = ImageExtractor(parts) if any(part.is_image for part in parts) else None
        self.in_features = sum(part.width for part in parts)
        width = self.extractor.out_features if self.extractor else self.in_features
        layers: list[nn.Module] = []
        for size in hidden_sizes:
            layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, out_features))
        self.register_buffer("reference", None)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_features) -> (batch, out_features)``."""
        n_reference = 0 if self.reference is None else len(self.reference)
        if self.reference is not None:
            x = torch.cat([self.reference, x])
        if self.extractor is not None:
            x = self.extractor(x)
        outputs = self.layers(x)
        return outputs[n_reference:] if n_reference else outputs


class ScalarNetwork(Network):
    """Network with one output per row.

    Example:
        >>> network = ScalarNetwork(encoder.parts, hidden_sizes=(8,), activation="relu")
        >>> network(encoder(batch).features).shape
        torch.Size([64])
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_features) -> (batch,)``."""
        return super().forward(x).squeeze(1)


class BaseDiscriminator(nn.Module, ABC):
    """Base class for discriminators: an encoder and the networks over its columns. A high score means real.

    Attributes:
        encoder: the input of the score.
        kind: name in the JSON description.
        outputs_log_ratio: whether the score is log p_real / p_fake by construction, whatever the loss.
        architecture: specs of the stabilizers that changed the networks, in order, to rebuild a saved discriminator.
        is_fixed: whether the scores never change; see ``fix``.

    Example:
        >>> discriminator(batch).shape  # the score of each transition
        torch.Size([64])
        >>> BaseDiscriminator in type(discriminator).__mro__
        True
    """

    encoder: InputEncoder
    kind: ClassVar[str]
    outputs_log_ratio: ClassVar[bool] = False
    is_fixed = False

    def __init__(self, encoder: InputEncoder, hidden_sizes: Sequence[int], activation: str) -> None:
        super().__init__()
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise ConfigurationError(f"unknown activation {activation!r}: {nearest(str(activation), ACTIVATIONS)}")
        self.encoder, self.hidden_sizes, self.activation = encoder, tuple(hidden_sizes), activation
        self.architecture: list[dict[str, Any]] = []
        self._read: list[tuple[Tensor, Tensor]] | None = None  # features and what a network made of them, while it is kept

    def encode(self, batch: Batch) -> Encoded:
        """Encode a batch for the networks."""
        return self.encoder(batch)

    def fix(self) -> Self:
        """Stop learning for good: no gradients, and evaluation mode even after ``train()``. Returns self."""
        self.is_fixed = True
        return self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; a fixed discriminator stays in evaluation mode."""
        return super().train(mode and not self.is_fixed)

    @abstractmethod
    def score(self, encoded: Encoded) -> Tensor:
        """Return the score of each row, ``(batch,)``, or return sample, ``(batch, n_returns)``. For BCE it is a logit."""

    def score_sides(self, real: Encoded, fake: Encoded) -> tuple[Tensor, Tensor]:
        """Score both sides in one forward pass, which takes two thirds of the time of two passes."""
        both = self.score(Encoded.cat([real, fake]))
        return both[: len(real)], both[len(real) :]

    def gradient_norms(self, points: Encoded) -> Tensor:
        """Return the norm of the score's gradient at each sample, differentiable in the parameters; see ``penalties``."""
        return gradient_norms(self.score, points)

    @contextmanager
    def reading_once(self) -> Iterator[None]:
        """Return a context in which scores share what ``_once`` computes. Parameters must not change inside it."""
        self._read = []
        try:
            yield
        finally:
            self._read = None

    def _once(self, features: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Return ``compute(features)``; within ``reading_once`` it is computed once for each feature tensor."""
        for read, outputs in self._read or ():
            if read is features:
                return outputs
        outputs = compute(features)
        if self._read is not None:
            self._read.append((features, outputs))
        return outputs

    @abstractmethod
    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return each network with the parts that it reads."""

    def config(self) -> dict[str, Any]:
        """Return a JSON description for ``build_discriminator``, without spaces and weights."""
        return {
            "kind": self.kind,
            "inputs": list(self.encoder.fields),
            "hidden_sizes": list(self.hidden_sizes),
            "activation": self.activation,
            "architecture": self.architecture,
        }

    def forward(self, batch: Batch) -> Tensor:
        """Encode and score a batch, ``(batch,)``."""
        return self.score(self.encode(batch))


class Discriminator(BaseDiscriminator):
    """One network over all fields of the encoder: the discriminator of GAIL (Ho & Ermon, 2016) and its variants.

    Example:
        >>> Discriminator(encoder, hidden_sizes=(32, 32))(batch).shape
        torch.Size([64])
    """

    kind = "plain"

    def __init__(self, encoder: InputEncoder, hidden_sizes: Sequence[int] = (64, 64), activation: str = "relu") -> None:
        super().__init__(encoder, hidden_sizes, activation)
        self.network = ScalarNetwork(encoder.parts, hidden_sizes, activation)

    def score(self, encoded: Encoded) -> Tensor:
        """Return the logit of D, ``(batch,)``, or ``(batch, n_returns)`` for return samples."""
        scores = self.network(encoded.rows())
        return scores if encoded.returns is None else scores.view_as(encoded.returns)

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return the network, which reads all columns."""
        return {self.network: self.encoder.parts}


class ShapedDiscriminator(BaseDiscriminator):
    """AIRL's discriminator (Fu et al., 2018, section 6): f(s, a, s') - log π(a|s).

    f = g(s[, a]) + γ (1 - d) h(s') - h(s), and D = exp(f) / (exp(f) + π(a|s)), whose logit is f - log π. The potential of a
    true terminal state is 0 (d = 1). A time limit is not a termination (d = 0), so h(s') counts there.

    Args:
        encoder: must encode ``observations``, ``next_observations`` and all of ``reward_inputs``.
        reward_inputs: inputs of g; ``("observations",)`` gives the state-only reward that transfers (section 5).
        discount: γ of the shaping: the generator's discount.
        hidden_sizes: widths of g and of h.
        activation: a name in ``ACTIVATIONS``.

    Example:
        >>> encoder = InputEncoder(env.observation_space, env.action_space, STATE_ACTION_STATE)
        >>> shaped = ShapedDiscriminator(encoder, discount=0.99)
        >>> shaped.reward(encoder(batch)).shape  # g alone
        torch.Size([64])
    """

    kind = "shaped"
    outputs_log_ratio = True

    def __init__(
        self,
        encoder: InputEncoder,
        reward_inputs: Sequence[str] = ("observations", "actions"),
        discount: float = 0.99,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
    ) -> None:
        super().__init__(encoder, hidden_sizes, activation)
        needed = {"observations", "next_observations", *reward_inputs}
        if not reward_inputs:
            raise ConfigurationError("reward_inputs is empty; name the inputs of g, such as ('observations',)")
        if not needed <= set(encoder.fields):
            raise ConfigurationError(
                f"a shaped discriminator over {tuple(reward_inputs)} needs inputs {sorted(needed)}, got {encoder.fields}"
            )
        self.reward_inputs, self.discount = tuple(reward_inputs), discount
        self.reward_parts = tuple(part for field in reward_inputs for part in encoder.parts if part.field == field)
        self.state_parts = tuple(part for part in encoder.parts if part.field == "observations")
        self.reward_network = ScalarNetwork(contiguous(self.reward_parts), hidden_sizes, activation)
        self.potential_network = ScalarNetwork(contiguous(self.state_parts), hidden_sizes, activation)
        self._reward_columns = [encoder.columns(field) for field in reward_inputs]
        self._state_columns, self._next_columns = encoder.columns("observations"), encoder.columns("next_observations")

    def reward(self, encoded: Encoded) -> Tensor:
        """Return g, the recovered reward, ``(batch,)``."""
        columns = [encoded.features[:, run] for run in self._reward_columns]
        return self.reward_network(columns[0] if len(columns) == 1 else torch.cat(columns, dim=1))

    def shaped_reward(self, encoded: Encoded) -> Tensor:
        """Return f = g + γ (1 - d) h(s') - h(s), ``(batch,)``; at the optimum it is the advantage, up to a constant."""
        # One forward pass for s and s': a third cheaper than two, and batch statistics are the same for both.
        states = torch.cat([encoded.features[:, self._state_columns], encoded.features[:, self._next_columns]])
        potential, next_potential = self.potential_network(states).reshape(2, encoded.dones.shape[0])
        return self.reward(encoded) + self.discount * (1 - encoded.dones) * next_potential - potential

    def score(self, encoded: Encoded) -> Tensor:
        """Return f - log π(a|s), the logit of AIRL's D, ``(batch,)``."""
        return self.shaped_reward(encoded) - encoded.offset

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return g and h with the parts that they read."""
        return {self.reward_network: self.reward_parts, self.potential_network: self.state_parts}

    def config(self) -> dict[str, Any]:
        """Return a JSON description."""
        return {**super().config(), "reward_inputs": list(self.reward_inputs), "discount": self.discount}


def _channels_first(space: spaces.Space | None) -> spaces.Box:
    assert isinstance(space, spaces.Box)
    if is_image_space_channels_first(space):
        return space
    return spaces.Box(space.low.transpose(2, 0, 1), space.high.transpose(2, 0, 1), dtype=space.dtype.type)
