"""GAN-Q's policies: three copies of a return model, and how actions are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor, nn

from ganq_irl.algorithms.ganq.risk import Risk
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.networks.extractors import LeavesExtractor, default_extractor, needs_leaves_extractor
from ganq_irl.networks.return_models import RETURN_MODELS, ReturnModel
from ganq_irl.networks.return_noise import N_GRID, noise_grid


class GANQPolicy(DQNPolicy):
    """A return model, its target network for Bellman samples, and its moving average, which acts.

    Args:
        observation_space: as in SB3.
        action_space: as in SB3.
        lr_schedule: as in SB3.
        net_arch: widths of the hidden layers; by default [64, 64], or none after NatureCNN.
        activation_fn: activation of the hidden layers.
        features_extractor_class: by default chosen by the observation space, see ``default_extractor``.
        features_extractor_kwargs: as in SB3.
        normalize_images: as in SB3.
        optimizer_class: as in SB3.
        optimizer_kwargs: as in SB3. Adam's first moment is off by default, as is common in adversarial training.
        return_model: a name in ``RETURN_MODELS``.
        action_network: how the return model processes actions, a name in ``ACTION_NETWORKS``.
        risk: the statistic to maximize: "mean", or ``{"name": "cvar", "level": 0.1}`` or ``{"name": "quantile", "level":
            0.9}`` of the returns.
    """

    q_net: ReturnModel
    q_net_target: ReturnModel
    q_net_average: ReturnModel

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
        return_model: str = "location-shape",
        action_network: str = "outputs",
        risk: str | dict[str, Any] = "mean",
    ) -> None:
        if return_model not in RETURN_MODELS:
            raise ConfigurationError(f"unknown return model {return_model!r}: {nearest(return_model, RETURN_MODELS)}")
        self.return_model, self.action_network, self.risk_spec = return_model, action_network, risk
        if optimizer_kwargs is None and optimizer_class is torch.optim.Adam:
            optimizer_kwargs = {"betas": (0.0, 0.999), "fused": True}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch,
            activation_fn,
            features_extractor_class or default_extractor(observation_space, normalize_images),
            features_extractor_kwargs,
            normalize_images,
            optimizer_class,
            optimizer_kwargs,
        )
        self.risk = Risk.parse(risk)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.q_net_average = self.make_q_net()
        self.q_net_average.load_state_dict(self.q_net.state_dict())
        self.q_net_average.set_training_mode(False)

    def make_q_net(self) -> ReturnModel:
        """Build a return model."""
        settings = self._update_features_extractor(self.net_args, features_extractor=None)
        if self.return_model == "location-shape":
            settings["action_network"] = self.action_network
        return RETURN_MODELS[self.return_model](**settings).to(self.device)

    def q_values(self, observations: PyTorchObs) -> Tensor:
        """Return the averaged return model's mean for every action, ``(batch, n_actions)``."""
        return self.q_net_average(observations)

    def _predict(self, obs: PyTorchObs, deterministic: bool = True) -> Tensor:
        if self.risk.is_neutral:
            return self.q_values(obs).argmax(dim=1)
        samples = self.q_net_average.distribution(obs, self.q_net_average.grid)  # (batch, n_actions, grid)
        return self.risk(samples).argmax(dim=1)

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = N_GRID) -> np.ndarray:
        """Return samples of each action's return from the averaged return model, at ``n`` even quantiles of the noise.

        Args:
            observation: one observation or a batch, in the format of ``predict``.
            n: number of samples per action.

        Returns:
            ``(n_actions, n)``, or ``(batch, n_actions, n)`` for a batch.
        """
        tensor, is_batch = self.obs_to_tensor(observation)
        with torch.no_grad():
            samples = self.q_net_average.distribution(tensor, noise_grid(n).to(self.device)).cpu().numpy()
        return samples if is_batch else samples[0]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {
            "return_model": self.return_model,
            "action_network": self.action_network,
            "risk": self.risk_spec,
        }


class MlpPolicy(GANQPolicy):
    """Policy with flattened observations, including images, like SB3's policy of that name."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        **options: Any,
    ) -> None:
        flat = LeavesExtractor if needs_leaves_extractor(observation_space) else FlattenExtractor
        extractor = features_extractor_class or flat
        super().__init__(observation_space, action_space, lr_schedule, features_extractor_class=extractor, **options)


class CnnPolicy(GANQPolicy):
    """Policy with SB3's NatureCNN for images; ``normalize_images=False`` allows float images and other bounds."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        features_extractor_class: type[BaseFeaturesExtractor] = NatureCNN,
        **options: Any,
    ) -> None:
        extractor = features_extractor_class
        super().__init__(observation_space, action_space, lr_schedule, features_extractor_class=extractor, **options)


MultiInputPolicy = GANQPolicy
