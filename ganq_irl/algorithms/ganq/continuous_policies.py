"""Policies of GAN-Q for continuous actions: TD3's actor, and return generators in the place of its critics."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from ganq_irl.algorithms.ganq.return_generators import N_GRID, noise_grid
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces


class Shape(nn.Module):
    """What a return generator adds to its mean: w · (h(s, a) ⊙ (e(z) - ē)), with ē the mean of e over a grid of the noise.

    Args:
        hidden_dim: width of h.
    """

    grid: Tensor

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        bound = 1 / sqrt(hidden_dim)
        self.embedding = nn.Linear(1, hidden_dim)
        self.weight = nn.Parameter(torch.empty(hidden_dim).uniform_(-bound, bound))
        self.register_buffer("grid", noise_grid(), persistent=False)

    def forward(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """``(batch, hidden)`` and noise ``(n,)`` to ``(batch, n)``; its mean over the grid is 0."""
        embedded = torch.tanh(self.embedding(torch.cat([noise, self.grid]).unsqueeze(1)))
        return (hidden * self.weight) @ (embedded[: len(noise)] - embedded[len(noise) :].mean(dim=0)).T


class ReturnGenerators(ContinuousCritic):
    """Twins G_i(z | s, a) = m_i(s, a) + w_i · (h_i(s, a) ⊙ (e_i(z) - ē_i)), the action an input.

    As SB3's critic, which it is when called: the values are the means. The arguments are those of SB3's class.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shapes = nn.ModuleList(Shape(network[-1].in_features) for network in self.q_networks)  # type: ignore[index]

    def samples(self, obs: PyTorchObs, actions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Means ``(twins, batch, 1)`` and samples ``(twins, batch, n)``; the same noise ``(n,)`` in every row.

        Args:
            obs: as in SB3.
            actions: scaled to [-1, 1], ``(batch, action_dim)``.
            noise: standard normal.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.share_features_extractor):
            features = self.extract_features(obs, self.features_extractor)
        inputs = torch.cat([features, actions], dim=1)
        means, samples = [], []
        for network, shape in zip(self.q_networks, self.shapes, strict=True):
            hidden = network[:-1](inputs)  # type: ignore[index]  # SB3 has it as a list of modules
            mean = network[-1](hidden)  # type: ignore[index]
            means.append(mean)
            samples.append(mean + shape(hidden, noise))
        return torch.stack(means), torch.stack(samples)


def samples_of_smallest_mean(means: Tensor, samples: Tensor) -> Tensor:
    """In each row the samples of the twin whose mean is the smallest: TD3's clipped double Q, for distributions.

    A minimum over samples would be below either twin's distribution, the more the wider they are.

    Args:
        means: ``(twins, batch, 1)``.
        samples: ``(twins, batch, n)``.

    Returns:
        ``(batch, n)``.
    """
    chosen = means.argmin(dim=0, keepdim=True).expand(1, *samples.shape[1:])
    return samples.gather(0, chosen).squeeze(0)


class ContinuousGANQPolicy(TD3Policy):
    """TD3's actor and its target; return generators and theirs.

    Arguments are those of SB3's ``TD3Policy``, and

    Args:
        generator_optimizer_kwargs: of the generators' optimizer, in place of ``optimizer_kwargs``, which are the actor's; by
            default Adam's first moment is off, as it usually is between adversaries.
    """

    critic: ReturnGenerators
    critic_target: ReturnGenerators

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *args: Any,
        generator_optimizer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.generator_optimizer_kwargs = generator_optimizer_kwargs
        super().__init__(observation_space, action_space, lr_schedule, *args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        options = self.generator_optimizer_kwargs
        if options is None:
            options = {"betas": (0.0, 0.999)} if self.optimizer_class is torch.optim.Adam else self.optimizer_kwargs
        self.critic.optimizer = self.optimizer_class(self.critic.parameters(), lr=lr_schedule(1), **options)  # type: ignore[call-arg]

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ReturnGenerators:
        """Return generators."""
        return ReturnGenerators(**self._update_features_extractor(self.critic_kwargs, features_extractor)).to(self.device)

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = N_GRID) -> np.ndarray:
        """What the first generator knows of the return of the actor's action: samples at ``n`` even quantiles of the noise.

        Args:
            observation: one, or a batch of them, as ``predict`` takes it.
            n: number of samples.

        Returns:
            ``(n,)``, or ``(batch, n)`` for a batch.
        """
        tensor, is_batch = self.obs_to_tensor(observation)
        with torch.no_grad():
            noise = noise_grid(n).to(self.device)
            samples = self.critic.samples(tensor, self._predict(tensor), noise)[1][0].cpu().numpy()
        return samples if is_batch else samples[0]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {"generator_optimizer_kwargs": self.generator_optimizer_kwargs}


MlpPolicy = ContinuousGANQPolicy


class CnnPolicy(ContinuousGANQPolicy):
    """For images: SB3's NatureCNN before actor and generators."""

    def __init__(self, *args: Any, features_extractor_class: type[BaseFeaturesExtractor] = NatureCNN, **kwargs: Any) -> None:
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)


class MultiInputPolicy(ContinuousGANQPolicy):
    """For Dict observations: SB3's CombinedExtractor before actor and generators."""

    def __init__(
        self, *args: Any, features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor, **kwargs: Any
    ) -> None:
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)
