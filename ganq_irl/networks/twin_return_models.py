"""Return models with a continuous action as input, used instead of TD3's critics."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from ganq_irl.networks.return_noise import NoiseEmbedding


class Shape(nn.Module):
    """The shape that a return model adds to its mean: w · (h(s, a) ⊙ (e(z) - ē)).

    Args:
        hidden_dim: width of h.
    """

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        bound = 1 / sqrt(hidden_dim)
        self.embedding = NoiseEmbedding(hidden_dim)
        self.weight = nn.Parameter(torch.empty(hidden_dim).uniform_(-bound, bound))

    def forward(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Map ``(batch, hidden_dim)`` and noise ``(n,)`` to ``(batch, n)``."""
        return (hidden * self.weight) @ self.embedding(noise).T


class TwinReturnModels(ContinuousCritic):
    """G_i(z | s, a) = m_i(s, a) + w_i · (h_i(s, a) ⊙ (e_i(z) - ē_i)), for each twin i.

    Calling it returns a tuple of the means, like SB3's critic. The arguments are those of SB3's class, and actions are
    scaled to [-1, 1].
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heads = [network[-1] for network in self.q_networks]  # type: ignore[index]  # nn.Sequential, typed as Module
        self.bodies = [network[:-1] for network in self.q_networks]  # type: ignore[index]
        self.shapes = nn.ModuleList(Shape(head.in_features) for head in self.heads)

    def samples(self, obs: PyTorchObs, actions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return means ``(twins, batch, 1)`` and samples ``(twins, batch, n)``; rows and twins share the noise ``(n,)``.

        Args:
            obs: as in SB3.
            actions: ``(batch, action_dim)``.
            noise: standard normal.
        """
        # As in SB3, shared features are only trained by the actor's loss.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.share_features_extractor):
            features = self.extract_features(obs, self.features_extractor)
        inputs = torch.cat([features, actions], dim=1)
        hidden = [body(inputs) for body in self.bodies]
        means = torch.stack([head(h) for head, h in zip(self.heads, hidden, strict=True)])
        shapes = torch.stack([shape(h, noise) for shape, h in zip(self.shapes, hidden, strict=True)])
        return means, means + shapes


def samples_of_smallest_mean(means: Tensor, samples: Tensor) -> Tensor:
    """Return the samples of the twin with the smallest mean in each row: TD3's clipped double Q, for distributions.

    The minimum of samples would be below both distributions, and more so the wider they are.

    Args:
        means: ``(twins, batch, 1)``.
        samples: ``(twins, batch, n)``.

    Returns:
        ``(batch, n)``.
    """
    chosen = means.argmin(dim=0, keepdim=True).expand(1, *samples.shape[1:])
    return samples.gather(0, chosen).squeeze(0)
