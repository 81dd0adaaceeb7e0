"""GAN-Q's critic, which scores return samples x given (s, a)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from ganq_irl.discriminator.inputs import Encoded, InputEncoder, Part, contiguous
from ganq_irl.discriminator.networks import BaseDiscriminator, Network
from ganq_irl.errors import ConfigurationError


class ReturnDiscriminator(BaseDiscriminator):
    """Critic D(x | s, a) = w_0 x + Σ_k w_k tanh(α_k x + β_k), with weights w computed by a network of (s, a).

    The network reads (s, a) once for any number of samples x. The gradient in x, w_0 + Σ_k w_k α_k (1 - tanh²), has a closed
    form, so the gradient penalty needs no second backward pass. The penalty acts on x alone, because (s, a) is given. For
    Discrete actions the network reads s and has separate outputs for each action; any other action is an input.

    Args:
        encoder: encodes observations, actions and returns.
        hidden_sizes: widths of the network's layers.
        activation: activation between the layers.
        n_basis: K, the number of tanh units in x; the more units, the narrower they are at the start.

    Raises:
        ConfigurationError: the encoder has other inputs, or ``n_basis`` is below 1.

    Example:
        >>> from dataclasses import replace
        >>> fields = STATE_ACTION_RETURN
        >>> encoder = InputEncoder(env.observation_space, env.action_space, fields, n_returns=3)
        >>> critic = ReturnDiscriminator(encoder)
        >>> critic(replace(batch, returns=torch.zeros(64, 3))).shape  # three return samples for each transition
        torch.Size([64, 3])
    """

    kind = "returns"

    def __init__(
        self,
        encoder: InputEncoder,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "leaky-relu",
        n_basis: int = 16,
    ) -> None:
        super().__init__(encoder, hidden_sizes, activation)
        if set(encoder.fields) != {"observations", "actions", "returns"}:
            raise ConfigurationError(f"a return discriminator sees observations, actions and returns; got {encoder.fields}")
        if n_basis < 1:
            raise ConfigurationError(f"n_basis: given {n_basis}; expected at least 1 unit in x")
        self.n_basis = n_basis
        self._has_heads = isinstance(encoder.action_space, spaces.Discrete)
        n_heads = encoder.columns("actions").stop - encoder.columns("actions").start if self._has_heads else 1
        fields = ("observations",) if self._has_heads else ("observations", "actions")
        self._condition = tuple(part for part in encoder.parts if part.field in fields)
        self.network = Network(contiguous(self._condition), hidden_sizes, activation, n_heads * (1 + n_basis))
        self._shrink_head()
        # The units cover the range of standardized samples; each is as wide as the distance to the second next unit.
        frequency = 1.5 * n_basis / 16
        self.frequencies = nn.Parameter(torch.full((n_basis,), frequency))
        self.phases = nn.Parameter(-frequency * torch.linspace(-2.5, 2.5, n_basis))

    @torch.no_grad()
    def _shrink_head(self) -> None:
        """Start with a nearly flat score, because a confident random critic would disturb the generator."""
        head = self.network.layers[-1]
        assert isinstance(head, nn.Linear)
        head.weight.mul_(0.1)
        head.bias.mul_(0.1)

    def score(self, encoded: Encoded) -> Tensor:
        """Return D(x | s, a), ``(batch, n_returns)``."""
        assert encoded.returns is not None
        weights = self._weights(encoded.features)
        units = torch.tanh(encoded.returns.unsqueeze(2) * self.frequencies + self.phases)  # (batch, n_returns, K)
        return weights[:, :1] * encoded.returns + (units * weights[:, None, 1:]).sum(dim=2)

    def gradient_norms(self, points: Encoded) -> Tensor:
        """Return |∂D/∂x| at each sample, ``(batch, n_returns)``, in closed form."""
        assert points.returns is not None
        weights = self._weights(points.features)
        units = torch.tanh(points.returns.unsqueeze(2) * self.frequencies + self.phases)
        slopes = weights[:, :1] + ((1 - units**2) * (weights[:, 1:] * self.frequencies)[:, None]).sum(dim=2)
        return slopes.abs()

    def _weights(self, features: Tensor) -> Tensor:
        """Return w at each (s, a), ``(batch, 1 + K)``."""
        return self._once(features, self._weigh)

    def _weigh(self, features: Tensor) -> Tensor:
        runs = [features[:, part.columns] for part in self._condition]
        outputs = self.network(runs[0] if len(runs) == 1 else torch.cat(runs, dim=1))
        if not self._has_heads:
            return outputs
        chosen = features[:, self.encoder.columns("actions")]  # one-hot
        return (outputs.view(len(features), -1, 1 + self.n_basis) * chosen.unsqueeze(2)).sum(dim=1)

    def networks(self) -> Mapping[Network, tuple[Part, ...]]:
        """Return the network of (s, a)."""
        return {self.network: self._condition}

    def config(self) -> dict[str, Any]:
        """Return a JSON description. ``build_discriminator`` does not take it: a critic is saved with its GAN-Q model."""
        return {**super().config(), "n_basis": self.n_basis}
