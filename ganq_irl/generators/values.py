"""A value function that a large or shifted reward cannot starve: PopArt for SB3's actor-critic policies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from ganq_irl.errors import UnsupportedGenerator


class ValueNormalizer:
    """Let a value head predict standardised returns, and keep its predictions as the statistics move (PopArt).

    van Hasselt et al. (2016), "Learning values across many orders of magnitude", equations 3 to 7. The head's output v is
    V = mean + std · v. Statistics are debiased exponential averages over rollouts; when they move, the head's weights are
    rescaled so that every V stays what it was. The algorithm's own loss then works on standardised returns, unchanged.

    Args:
        policy: whose ``value_net`` is a linear layer.
        decay: weight of the past at each rollout.

    Raises:
        UnsupportedGenerator: a policy with another kind of value head.
    """

    def __init__(self, policy: ActorCriticPolicy, decay: float = 0.9) -> None:
        if not isinstance(policy.value_net, nn.Linear):
            raise UnsupportedGenerator(
                f"normalize_values rescales a linear value head, and this policy's is a {type(policy.value_net).__name__}; "
                "set normalize_values=False"
            )
        self.policy, self.decay = policy, decay
        self.mean, self.std = 0.0, 1.0
        self._first_moment, self._second_moment, self._weight = 0.0, 0.0, 0.0

    def to_returns(self, values: Any) -> Any:
        """Standardised predictions to the reward's units; arrays or tensors."""
        return self.mean + self.std * values

    def standardize(self, returns: Any) -> Any:
        """The inverse of ``to_returns``."""
        return (returns - self.mean) / self.std

    def update(self, returns: np.ndarray) -> None:
        """Let a rollout's returns into the statistics and rescale the head."""
        keep = self.decay
        self._first_moment = keep * self._first_moment + (1 - keep) * float(returns.mean())
        self._second_moment = keep * self._second_moment + (1 - keep) * float((returns.astype(np.float64) ** 2).mean())
        self._weight = keep * self._weight + (1 - keep)
        mean = self._first_moment / self._weight
        variance = self._second_moment / self._weight - mean**2
        self._rescale(mean, float(np.sqrt(max(variance, 1e-8))))

    @torch.no_grad()
    def _rescale(self, mean: float, std: float) -> None:
        head = self.policy.value_net
        assert isinstance(head, nn.Linear)
        head.weight.mul_(self.std / std)
        head.bias.copy_((self.std * head.bias + self.mean - mean) / std)
        self.mean, self.std = mean, std

    def state_dict(self) -> dict[str, float]:
        """The statistics; the rescaled head is the policy's own state."""
        return {
            "mean": self.mean,
            "std": self.std,
            "first_moment": self._first_moment,
            "second_moment": self._second_moment,
            "weight": self._weight,
        }

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the statistics."""
        self.mean, self.std = state["mean"], state["std"]
        self._first_moment, self._second_moment = state["first_moment"], state["second_moment"]
        self._weight = state["weight"]
