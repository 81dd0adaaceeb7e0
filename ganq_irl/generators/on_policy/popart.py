"""PopArt for SB3's actor-critic policies: value functions that cope with large or shifting rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from ganq_irl.errors import UnsupportedGenerator


class ValueNormalizer:
    """Train a value head on standardized returns, whatever the scale of the rewards (PopArt).

    van Hasselt et al. (2016), "Learning values across many orders of magnitude". While the algorithm updates its policy, the
    head's output v is standardized, V = mean + std · v, and so are its target returns. At all other times, the head predicts
    V itself, like SB3's policies. The statistics are debiased exponential averages over rollouts. Updating
    them does not change any V.

    Args:
        policy: policy whose ``value_net`` is a linear layer.
        decay: weight of the past at each rollout.

    Raises:
        UnsupportedGenerator: the policy has another kind of value head.
    """

    def __init__(self, policy: ActorCriticPolicy, decay: float = 0.9) -> None:
        if not isinstance(policy.value_net, nn.Linear):
            raise UnsupportedGenerator(
                f"normalize_values requires a linear value head, but this policy's is a {type(policy.value_net).__name__}; "
                "set normalize_values=False"
            )
        self.policy, self.decay = policy, decay
        self.mean, self.std = 0.0, 1.0
        self._first_moment, self._second_moment, self._weight = 0.0, 0.0, 0.0
        self._is_standard = False

    def to_returns(self, values: Any) -> Any:
        """Convert standardized predictions to the reward's units; arrays or tensors."""
        return self.mean + self.std * values

    def standardize(self, returns: Any) -> Any:
        """Undo ``to_returns``."""
        return (returns - self.mean) / self.std

    @torch.no_grad()
    def begin_update(self, returns: np.ndarray) -> None:
        """Add a rollout's returns to the statistics; from now on the head predicts standardized returns."""
        assert not self._is_standard, "call end_update between two updates"
        keep = self.decay
        self._first_moment = keep * self._first_moment + (1 - keep) * float(returns.mean())
        self._second_moment = keep * self._second_moment + (1 - keep) * float((returns.astype(np.float64) ** 2).mean())
        self._weight = keep * self._weight + (1 - keep)
        self.mean = self._first_moment / self._weight
        self.std = float(np.sqrt(max(self._second_moment / self._weight - self.mean**2, 1e-8)))
        self._head.weight.div_(self.std)
        self._head.bias.sub_(self.mean).div_(self.std)
        self._is_standard = True

    @torch.no_grad()
    def end_update(self) -> None:
        """From now on, the head predicts returns in the reward's units; do nothing if it already does."""
        if self._is_standard:
            self._head.weight.mul_(self.std)
            self._head.bias.mul_(self.std).add_(self.mean)
            self._is_standard = False

    @property
    def _head(self) -> nn.Linear:
        head = self.policy.value_net
        assert isinstance(head, nn.Linear)
        return head

    def state_dict(self) -> dict[str, float]:
        """Return the statistics, between updates; the head belongs to the policy's state."""
        assert not self._is_standard, "call end_update first"
        return {"first": self._first_moment, "second": self._second_moment, "weight": self._weight}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the statistics."""
        self._first_moment, self._second_moment, self._weight = state["first"], state["second"], state["weight"]
