"""Policies of GAN-Q for continuous actions: TD3's actor, with return models instead of critics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.td3.policies import TD3Policy

from ganq_irl.networks.extractors import default_extractor
from ganq_irl.networks.return_noise import N_GRID, noise_grid
from ganq_irl.networks.twin_return_models import TwinReturnModels


class ContinuousGANQPolicy(TD3Policy):
    """TD3's actor, twin return models, and the targets of both.

    All arguments except ``return_model_optimizer_kwargs`` are those of SB3's ``TD3Policy``.

    Args:
        observation_space: as in SB3.
        action_space: as in SB3.
        lr_schedule: as in SB3.
        args: as in SB3.
        return_model_optimizer_kwargs: keywords of the return models' optimizer, like ``optimizer_kwargs`` of the actor's.
            Adam's first moment is off by default, as is common in adversarial training.
        kwargs: as in SB3.
    """

    critic: TwinReturnModels
    critic_target: TwinReturnModels

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *args: Any,
        return_model_optimizer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.return_model_optimizer_kwargs = return_model_optimizer_kwargs
        super().__init__(observation_space, action_space, lr_schedule, *args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        options = self.return_model_optimizer_kwargs
        if options is None:
            options = {"betas": (0.0, 0.999), "fused": True} if self.optimizer_class is torch.optim.Adam else {}
        self.critic.optimizer = self.optimizer_class(self.critic.parameters(), lr=lr_schedule(1), **options)  # type: ignore[call-arg]

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> TwinReturnModels:
        """Build the return models, which SB3's TD3 calls its critic."""
        return TwinReturnModels(**self._update_features_extractor(self.critic_kwargs, features_extractor)).to(self.device)

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = N_GRID) -> np.ndarray:
        """Return samples of the actor's return from the first return model, at ``n`` even quantiles of the noise.

        Args:
            observation: one observation or a batch, in the format of ``predict``.
            n: number of samples.

        Returns:
            ``(n,)``, or ``(batch, n)`` for a batch.
        """
        tensor, is_batch = self.obs_to_tensor(observation)
        with torch.no_grad():
            _, samples = self.critic.samples(tensor, self._predict(tensor), noise_grid(n).to(self.device))
        of_first = samples[0].cpu().numpy()
        return of_first if is_batch else of_first[0]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {"return_model_optimizer_kwargs": self.return_model_optimizer_kwargs}


class ContinuousCnnPolicy(ContinuousGANQPolicy):
    """Policy for images, with SB3's NatureCNN before actor and return models."""

    def __init__(self, *args: Any, features_extractor_class: type[BaseFeaturesExtractor] = NatureCNN, **kwargs: Any) -> None:
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)


class ContinuousMultiInputPolicy(ContinuousGANQPolicy):
    """Policy for Dict observations, with the extractor that they need before actor and return models."""

    def __init__(
        self,
        observation_space: spaces.Space,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        **kwargs: Any,
    ) -> None:
        extractor = features_extractor_class or default_extractor(observation_space)
        super().__init__(observation_space, *args, features_extractor_class=extractor, **kwargs)
