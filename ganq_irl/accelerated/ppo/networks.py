"""Actor and critic of an SB3 policy without autograd."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from ganq_irl.accelerated.core import Dense, FlatAdam, ParameterVector, clip_norm, layers_of, reasons_of_optimizer
from ganq_irl.accelerated.ppo.heads import CategoricalHead, GaussianHead, Head


class ActorCritic:
    """The networks of an SB3 policy without autograd. The parameters remain the policy's.

    Args:
        policy: a policy accepted by ``why_slow``.

    Attributes:
        actor: network from observations to logits or means.
        critic: network from observations to values, ``(batch, 1)``.
        head: action distribution of the actor's output.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        # The log standard deviations come last: before the weights, they would misalign them and slow down products.
        parameters = [p for _, p in sorted(policy.named_parameters(), key=lambda item: item[0] == "log_std")]
        self._vector = vector = ParameterVector([(parameter,) for parameter in parameters])
        self.actor, self.critic = (
            Dense(layers_of([modules], vector)) for modules in (actor_modules(policy), critic_modules(policy))
        )
        self.head: Head = CategoricalHead()
        if hasattr(policy, "log_std"):
            (gradient,) = vector.stack(vector.gradient, [policy.log_std])
            self.head = GaussianHead(policy.log_std, gradient)

    def optimized_by(self, optimizer: torch.optim.Optimizer) -> Any:
        """Return an object that takes optimizer steps: plain Adam on the whole vector if possible, or else the optimizer."""
        vector = self._vector
        if not any(reasons_of_optimizer(optimizer, vector.parameters)):
            return FlatAdam(optimizer, vector)
        for parameter, gradient in zip(vector.parameters, vector.pieces(vector.gradient), strict=True):
            parameter.grad = gradient
        return optimizer

    def clip_gradient(self, max_norm: float) -> None:
        """Clip the gradient of all parameters together to the norm ``max_norm``."""
        clip_norm(self._vector.gradient, max_norm)


def actor_modules(policy: ActorCriticPolicy) -> list[nn.Module]:
    """Return the modules from observations to logits or means."""
    return [*policy.mlp_extractor.policy_net, policy.action_net]


def critic_modules(policy: ActorCriticPolicy) -> list[nn.Module]:
    """Return the modules from observations to values."""
    return [*policy.mlp_extractor.value_net, policy.value_net]
