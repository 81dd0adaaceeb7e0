"""Policies for SB3's DQN whose value network has the action as an input, or a separate hidden layer for each action.

For actions as outputs, use SB3's own MlpPolicy, CnnPolicy and MultiInputPolicy.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from ganq_irl.networks.extractors import default_extractor
from ganq_irl.networks.q_networks import ActionBranches, ActionHead, ActionInput


class _ActionPolicy(DQNPolicy):
    """DQN's policy with another network between features and values, for vector, image and Dict observations.

    Args:
        observation_space: as in SB3.
        action_space: as in SB3.
        lr_schedule: as in SB3.
        net_arch: widths of the hidden layers, at least one; by default [64, 64], or [64] after NatureCNN.
        activation_fn: activation after each hidden layer.
        features_extractor_class: by default NatureCNN for images, CombinedExtractor for Dict, else FlattenExtractor.
        features_extractor_kwargs: as in SB3.
        normalize_images: as in SB3.
        optimizer_class: as in SB3.
        optimizer_kwargs: as in SB3.

    Raises:
        ConfigurationError: ``net_arch`` is empty.
    """

    network_class: ClassVar[type[ActionInput | ActionBranches]]

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        features_extractor_kwargs: dict[str, Any] | None = None,
        normalize_images: bool = True,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        extractor = features_extractor_class or default_extractor(observation_space, normalize_images)
        if net_arch is None:
            net_arch = [64] if extractor is NatureCNN else [64, 64]
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch,
            activation_fn,
            extractor,
            features_extractor_kwargs,
            normalize_images,
            optimizer_class,
            optimizer_kwargs,
        )

    def make_q_net(self) -> QNetwork:
        """Return SB3's network, with ours between its features and its values."""
        q_net = super().make_q_net()
        network = self.network_class(q_net.features_dim, int(q_net.action_space.n), self.net_arch, self.activation_fn)
        q_net.q_net = nn.Sequential(network, ActionHead(network))
        return q_net.to(self.device)


class ActionInputPolicy(_ActionPolicy):
    """The action is a one-hot input of the value network: ``DQN(ActionInputPolicy, env)``."""

    network_class = ActionInput


class ActionBranchesPolicy(_ActionPolicy):
    """Each action has a separate hidden layer after a shared base: ``DQN(ActionBranchesPolicy, env)``."""

    network_class = ActionBranches
