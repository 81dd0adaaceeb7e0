"""Policies for SB3's SAC, TD3 and DDPG whose critics have layer normalization before each activation.

A critic that is trained on its own extrapolations can diverge. Layer normalization bounds its values far from the data.
According to Ball et al. (2023), "Efficient online reinforcement learning with offline data", section 4.2, this stabilizes
training with demonstrations in the replay buffer.
"""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from ganq_irl.networks.extractors import default_extractor


class _LayerNormCritics(BasePolicy):
    """Mixin before an SB3 policy with continuous critics, for vector, image and Dict observations.

    Args:
        observation_space: as in SB3.
        action_space: as in SB3.
        lr_schedule: as in SB3.
        features_extractor_class: by default NatureCNN for images, CombinedExtractor for Dict, else FlattenExtractor.
        **options: as in SB3.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        **options: Any,
    ) -> None:
        extractor = features_extractor_class or default_extractor(observation_space, options.get("normalize_images", True))
        super().__init__(observation_space, action_space, lr_schedule, features_extractor_class=extractor, **options)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Return SB3's critic with its initial weights, and a LayerNorm after each hidden linear layer."""
        critic: ContinuousCritic = super().make_critic(features_extractor)  # type: ignore[misc]  # SAC's and TD3's
        for index, network in enumerate(critic.q_networks):
            critic.q_networks[index] = _normalized(network)
            setattr(critic, f"qf{index}", critic.q_networks[index])
        return critic.to(self.device)


class SACLayerNormPolicy(_LayerNormCritics, SACPolicy):
    """SAC's policy with layer normalization in its critics: ``SAC(SACLayerNormPolicy, env)``.

    Example:
        >>> model = SAC(SACLayerNormPolicy, "Pendulum-v1", policy_kwargs={"net_arch": [64]})
        >>> any(isinstance(layer, torch.nn.LayerNorm) for layer in model.critic.modules())
        True
    """


class TD3LayerNormPolicy(_LayerNormCritics, TD3Policy):
    """TD3's and DDPG's policy with layer normalization in its critics: ``TD3(TD3LayerNormPolicy, env)``.

    Example:
        >>> from stable_baselines3 import TD3
        >>> model = TD3(TD3LayerNormPolicy, "Pendulum-v1", policy_kwargs={"net_arch": [64]})
        >>> any(isinstance(layer, torch.nn.LayerNorm) for layer in model.critic.modules())
        True
    """


def _normalized(network: nn.Module) -> nn.Sequential:
    # SB3's create_mlp has post_linear_modules for this, but not in 2.2.1, which imitation requires.
    *hidden, output = network.children()
    layers: list[nn.Module] = []
    for layer in hidden:
        layers += [layer, nn.LayerNorm(layer.out_features)] if isinstance(layer, nn.Linear) else [layer]
    return nn.Sequential(*layers, output)
