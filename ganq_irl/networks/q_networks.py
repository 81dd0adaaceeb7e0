"""Three ways for a value network to treat discrete actions, each from features to one hidden vector for every action.

All three take ``features (batch, features_dim)`` and give ``(batch, n_actions, hidden_dim)``, so that one head serves any of
them: DQN's expected value, or the return model of GAN Q-learning.

| name | what it is | last layers |
|---|---|---|
| ``outputs`` | one network, the same hidden vector for every action (Mnih et al., 2015) | one for each action |
| ``input`` | the action enters as a one-hot vector, one network for all (Watkins' Q(s, a) as it is written) | one for all |
| ``branches`` | a shared base, then a hidden layer of its own for each action | one for each action |
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
    """Actions as outputs: one network whose hidden vector all actions share.

    Args:
        features_dim: width of the features.
        n_actions: number of actions.
        net_arch: widths of the hidden layers; may be empty, then the features themselves are the hidden vector.
        activation_fn: after each hidden layer.

    Attributes:
        hidden_dim: width of the result.
        n_heads: how many last layers tell the actions apart: one for each.
    """

    def __init__(
        self, features_dim: int, n_actions: int, net_arch: Sequence[int], activation_fn: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        self.n_heads = n_actions
        self.base = _mlp(features_dim, net_arch, activation_fn)
        self.hidden_dim = net_arch[-1] if net_arch else features_dim

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, features_dim) -> (batch, n_actions, hidden_dim)``, a view: the actions share their memory."""
        return self.base(features).unsqueeze(1).expand(-1, self.n_heads, -1)


class ActionInput(nn.Module):
    """Action as an input: its one-hot vector is appended to the features, and one network takes each such pair.

    The first layer is linear in both, W [features, one-hot(a)] = W_f features + (column a of W_a), so that its part of the
    features is computed once instead of once for each action.

    Args:
        features_dim: width of the features.
        n_actions: number of actions.
        net_arch: widths of the hidden layers, one at the least.
        activation_fn: after each hidden layer.

    Attributes:
        hidden_dim: width of the result.
        n_heads: 1, since the hidden vector itself tells the actions apart.

    Raises:
        ConfigurationError: there is no hidden layer.
    """

    n_heads = 1

    def __init__(
        self, features_dim: int, n_actions: int, net_arch: Sequence[int], activation_fn: type[nn.Module] = nn.ReLU
    ) -> None:
        super().__init__()
        # Linear in features and action, Q would be a sum of both, and one action the best in every state.
        _require_hidden_layer(net_arch, "an action that enters as an input")
        self.features_dim, self.hidden_dim = features_dim, net_arch[-1]
        self.first = nn.Linear(features_dim + n_actions, net_arch[0])
        self.rest = nn.Sequential(activation_fn(), *_mlp(net_arch[0], net_arch[1:], activation_fn))

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, features_dim) -> (batch, n_actions, hidden_dim)``."""
        of_features, of_actions = self.first.weight.split(
            [self.features_dim, self.first.in_features - self.features_dim], dim=1
        )
        first = functional.linear(features, of_features, self.first.bias).unsqueeze(1) + of_actions.T
        return self.rest(first)


class ActionBranches(nn.Module):
    """A shared base, and on it a hidden layer of its own for each action.

    All own layers have the same input, so that they are one linear layer ``n_actions`` times as wide.

    Args:
        features_dim: width of the features.
        n_actions: number of actions.
        net_arch: widths of the hidden layers, one at the least; the last is that of each action's own layer.
        activation_fn: after each hidden layer.

    Attributes:
        hidden_dim: width of the result.
        n_heads: how many last layers tell the actions apart: one for each.

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
        """``(batch, features_dim) -> (batch, n_actions, hidden_dim)``."""
        return self.own(self.base(features)).unflatten(1, (self.n_heads, self.hidden_dim))


ActionNetwork = ActionOutputs | ActionInput | ActionBranches

ACTION_NETWORKS: dict[str, type[ActionNetwork]] = {
    "outputs": ActionOutputs,
    "input": ActionInput,
    "branches": ActionBranches,
}
"""Name -> network; all are constructed and called alike."""


class ActionHead(nn.Module):
    """The linear last layer: one number for every action.

    Args:
        network: what it stands on; it says whether the actions share the weights.
    """

    def __init__(self, network: ActionNetwork) -> None:
        super().__init__()
        bound = 1 / sqrt(network.hidden_dim)  # as nn.Linear initializes itself
        self.weight = nn.Parameter(torch.empty(network.n_heads, network.hidden_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(network.n_heads).uniform_(-bound, bound))

    def forward(self, hidden: Tensor) -> Tensor:
        """``(batch, n_actions, hidden_dim) -> (batch, n_actions)``."""
        return (hidden * self.weight).sum(dim=-1) + self.bias


def _mlp(input_dim: int, net_arch: Sequence[int], activation_fn: type[nn.Module]) -> nn.Sequential:
    """Hidden layers alone, each followed by its activation."""
    return nn.Sequential(*create_mlp(input_dim, -1, list(net_arch), activation_fn))


def _require_hidden_layer(net_arch: Sequence[int], what: str) -> None:
    if not net_arch:
        raise ConfigurationError(f"net_arch: given no hidden layer; {what} needs at least one, such as net_arch=[64]")
