"""Three architectures of value networks for discrete actions, from features to a hidden vector per action.

All three map ``features (batch, features_dim)`` to ``(batch, n_actions, hidden_dim)``, so that the same head works with any
of them: DQN's expected value, or the return model of GAN Q-learning.

| name | architecture | last layers |
|---|---|---|
| ``outputs`` | one network, the same hidden vector for all actions (Mnih et al., 2015) | one per action |
| ``input`` | the action is a one-hot input, one network for all (Watkins' Q(s, a)) | one for all |
| ``branches`` | a shared base, then a separate hidden layer per action | one per action |
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from stable_baselines3.common.torch_layers import create_mlp
from torch import Tensor, nn
from torch.nn import functional

from ganq_irl.errors import ConfigurationError


class ActionOutputs(nn.Module):
    """Actions as outputs: a network whose hidden vector is shared by all actions.

    Args:
        features_dim: width of the features.
        n_actions: number of actions.
        net_arch: widths of the hidden layers; if empty, the features are the hidden vector.
        activation_fn: activation after each hidden layer.

    Attributes:
        hidden_dim: width of the hidden vector.
        n_heads: number of last layers, one per action.
    """

    def __init__(
        self, features_dim: int, n_actions: int, net_arch: Sequence[int], activation_fn: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        self.n_heads = n_actions
        self.base = _mlp(features_dim, net_arch, activation_fn)
        self.hidden_dim = net_arch[-1] if net_arch else features_dim

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(batch, features_dim)`` to ``(batch, n_actions, hidden_dim)``, a view whose memory the actions share."""
        return self.base(features).unsqueeze(1).expand(-1, self.n_heads, -1)


class ActionInput(nn.Module):
    """Action as an input: its one-hot vector is appended to the features.

    The first layer is linear in both, W [features, one-hot(a)] = W_f features + (column a of W_a), so its product with the
    features is computed once instead of once per action.

    Args:
        features_dim: width of the features.
        n_actions: number of actions.
        net_arch: widths of the hidden layers, at least one.
        activation_fn: activation after each hidden layer.

    Attributes:
        hidden_dim: width of the hidden vector.
        n_heads: 1, since the hidden vector depends on the action.

    Raises:
        ConfigurationError: there is no hidden layer.
    """

    n_heads = 1

    def __init__(
        self, features_dim: int, n_actions: int, net_arch: Sequence[int], activation_fn: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        # If Q were linear in features and action, it would be a sum, and the same action would be best in all states.
        _require_hidden_layer(net_arch, "an action that enters as an input")
        self.features_dim, self.hidden_dim = features_dim, net_arch[-1]
        self.first = nn.Linear(features_dim + n_actions, net_arch[0])
        self.rest = nn.Sequential(activation_fn(), *_mlp(net_arch[0], net_arch[1:], activation_fn))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(batch, features_dim)`` to ``(batch, n_actions, hidden_dim)``."""
        of_features, of_actions = self.first.weight.split(
            [self.features_dim, self.first.in_features - self.features_dim], dim=1
        )
        first = functional.linear(features, of_features, self.first.bias).unsqueeze(1) + of_actions.T
        return self.rest(first)


class ActionBranches(nn.Module):
    """A shared base, followed by a separate hidden layer for each action.

    The separate layers have the same input, so they are computed as one linear layer of ``n_actions`` times the width.

    Args:
        features_dim: width of the features.
        n_actions: number of actions.
        net_arch: widths of the hidden layers, at least one; the last one is the width of the separate layers.
        activation_fn: activation after each hidden layer.

    Attributes:
        hidden_dim: width of the hidden vector.
        n_heads: number of last layers, one per action.

    Raises:
        ConfigurationError: there is no hidden layer.
    """

    def __init__(
        self, features_dim: int, n_actions: int, net_arch: Sequence[int], activation_fn: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        _require_hidden_layer(net_arch, "a hidden layer of its own for each action")
        self.n_heads, self.hidden_dim = n_actions, net_arch[-1]
        self.base = _mlp(features_dim, net_arch[:-1], activation_fn)
        base_dim = net_arch[-2] if len(net_arch) > 1 else features_dim
        self.own = nn.Sequential(nn.Linear(base_dim, n_actions * self.hidden_dim), activation_fn())

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(batch, features_dim)`` to ``(batch, n_actions, hidden_dim)``."""
        return self.own(self.base(features)).unflatten(1, (self.n_heads, self.hidden_dim))


ActionNetwork = ActionOutputs | ActionInput | ActionBranches

ACTION_NETWORKS: dict[str, type[ActionNetwork]] = {
    "outputs": ActionOutputs,
    "input": ActionInput,
    "branches": ActionBranches,
}
"""Name -> network; all have the same constructor and interface."""


class ActionHead(nn.Module):
    """The linear last layer, with one output per action.

    Args:
        network: network before this layer; determines whether the actions share weights.
    """

    def __init__(self, network: ActionNetwork) -> None:
        super().__init__()
        bound = 1 / sqrt(network.hidden_dim)  # initialization of nn.Linear
        self.weight = nn.Parameter(torch.empty(network.n_heads, network.hidden_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(network.n_heads).uniform_(-bound, bound))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map ``(batch, n_actions, hidden_dim)`` to ``(batch, n_actions)``."""
        return (hidden * self.weight).sum(dim=-1) + self.bias


def _mlp(input_dim: int, net_arch: Sequence[int], activation_fn: type[nn.Module]) -> nn.Sequential:
    """Return hidden layers, each followed by its activation."""
    return nn.Sequential(*create_mlp(input_dim, -1, list(net_arch), activation_fn))


def _require_hidden_layer(net_arch: Sequence[int], what: str) -> None:
    if not net_arch:
        raise ConfigurationError(f"net_arch: given no hidden layer; {what} needs at least one, such as net_arch=[64]")
