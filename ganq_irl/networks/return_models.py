"""Return models: x = G(z | s, a) maps standard normal noise to a sample of the return.

All have the interface of SB3's ``QNetwork``: calling one returns Q-values, the mean of G for every action.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.dqn.policies import QNetwork
from torch import Tensor, nn

from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.networks.q_networks import ACTION_NETWORKS, ActionHead
from ganq_irl.networks.return_noise import NoiseEmbedding, noise_grid


class LocationShapeModel(QNetwork):
    """G(z | s, a) = m(s, a) + w_a · (h(s, a) ⊙ (e(z) - ē)), with ē the mean of e over a grid of the noise.

    The shape's mean over that grid is 0 by construction, so that m *is* the mean of G. Acting, and choosing the action of a
    Bellman target, need no samples, and the mean is learned as fast as with a plain value network.

    Args:
        observation_space: as in SB3.
        action_space: as in SB3.
        features_extractor: as in SB3.
        features_dim: as in SB3.
        net_arch: widths of the hidden layers.
        activation_fn: activation of the hidden layers.
        normalize_images: as in SB3.
        action_network: how the network processes actions, a name in ``ACTION_NETWORKS``.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
        action_network: str = "outputs",
    ) -> None:
        super().__init__(
            observation_space, action_space, features_extractor, features_dim, net_arch, activation_fn, normalize_images
        )
        if action_network not in ACTION_NETWORKS:
            raise ConfigurationError(
                f"unknown action network {action_network!r}: {nearest(action_network, ACTION_NETWORKS)}"
            )
        self.action_network = action_network
        network = ACTION_NETWORKS[action_network](features_dim, int(action_space.n), self.net_arch, activation_fn)
        self.q_net = nn.Sequential(network, ActionHead(network))
        self.embedding = NoiseEmbedding(network.hidden_dim)
        bound = 1 / sqrt(network.hidden_dim)
        self.shape = nn.Parameter(torch.empty(network.n_heads, network.hidden_dim).uniform_(-bound, bound))

    @property
    def grid(self) -> Tensor:
        """Points that represent the distribution of the noise, ``(N_GRID,)``."""
        return self.embedding.grid

    def distribution(self, observations: PyTorchObs, noise: Tensor) -> Tensor:
        """Return samples for every action, ``(batch, n_actions, n)`` for noise of ``(n,)``."""
        hidden, means = self._hidden_and_means(observations)
        return means.unsqueeze(2) + (hidden * self.shape) @ self.embedding(noise).T

    def samples(self, observations: PyTorchObs, actions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean ``(batch, 1)`` and samples ``(batch, n)`` of actions ``(batch,)``; all rows share the noise."""
        hidden, means = self._hidden_and_means(observations)
        return self._at(hidden, means, actions, noise)

    def greedy_samples(self, observations: PyTorchObs, noise: Tensor, chooser: QNetwork | None = None) -> Tensor:
        """Return samples of the action with the highest mean, or the highest Q-value of ``chooser``, ``(batch, n)``."""
        hidden, means = self._hidden_and_means(observations)
        values = means if chooser is None else chooser(observations)
        return self._at(hidden, means, values.argmax(dim=1), noise)[1]

    def _hidden_and_means(self, observations: PyTorchObs) -> tuple[Tensor, Tensor]:
        network, head = self.q_net
        hidden = network(self.extract_features(observations, self.features_extractor))  # (batch, n_actions, hidden)
        return hidden, head(hidden)

    def _at(self, hidden: Tensor, means: Tensor, actions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(actions), device=actions.device)
        mean = means.gather(1, actions.unsqueeze(1))
        shape = self.shape if len(self.shape) == 1 else self.shape[actions]
        return mean, mean + (hidden[rows, actions] * shape) @ self.embedding(noise).T

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "action_network": self.action_network}


class ConcatenatedModel(QNetwork):
    """G(z | s, a) as published: noise is concatenated with the features, and there is one output per action.

    Its mean must be estimated from samples, and a target takes the maximum over actions of each sample.
    Doan, Mazoure & Lyle (2018), "GAN Q-learning", section 3.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
    ) -> None:
        super().__init__(
            observation_space, action_space, features_extractor, features_dim + 1, net_arch, activation_fn, normalize_images
        )
        self.register_buffer("grid", noise_grid(), persistent=False)
        self.grid: Tensor

    def forward(self, obs: PyTorchObs) -> Tensor:
        """Return Q-values, the mean over the grid, ``(batch, n_actions)``."""
        return self.distribution(obs, self.grid).mean(dim=2)

    def distribution(self, observations: PyTorchObs, noise: Tensor) -> Tensor:
        """Return samples for every action, ``(batch, n_actions, n)`` for noise of ``(n,)``."""
        features = self.extract_features(observations, self.features_extractor)
        rows = torch.cat([features.repeat_interleave(len(noise), dim=0), noise.repeat(len(features)).unsqueeze(1)], dim=1)
        return self.q_net(rows).view(len(features), len(noise), -1).transpose(1, 2)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "features_dim": self.features_dim - 1}

    def samples(self, observations: PyTorchObs, actions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean ``(batch, 1)`` of the samples, and samples ``(batch, n)``, of actions ``(batch,)``."""
        rows = torch.arange(len(actions), device=actions.device)
        samples = self.distribution(observations, noise)[rows, actions]
        return samples.mean(dim=1, keepdim=True), samples

    def greedy_samples(self, observations: PyTorchObs, noise: Tensor) -> Tensor:
        """Return the highest of the actions' samples for each noise, ``(batch, n)``."""
        return self.distribution(observations, noise).amax(dim=1)


RETURN_MODELS: dict[str, type[LocationShapeModel] | type[ConcatenatedModel]] = {
    "location-shape": LocationShapeModel,
    "concatenated": ConcatenatedModel,
}

ReturnModel = LocationShapeModel | ConcatenatedModel
