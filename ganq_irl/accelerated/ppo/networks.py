"""The actor and the critic of an SB3 policy on the shared core."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from ganq_irl.accelerated.core import Dense, FlatAdam, ParameterVector, clip_norm, layers_of, reasons_of_optimizer
from ganq_irl.accelerated.ppo.heads import CategoricalHead, GaussianHead, Head


class ActorCritic:
    """An SB3 policy whose networks run, and are differentiated, without autograd. The parameters stay the policy's own.

    Args:
        policy: one that ``why_slow`` has nothing against.

    Attributes:
        actor: observations to logits or means.
        critic: observations to values, ``(batch, 1)``.
        head: the action distribution on the actor's output.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        # The deviations come last: in front they would shift the weights off the addresses at which products are fast.
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
        """Return what takes a step on the gradient: plain Adam on the whole vector at once, else the optimizer itself."""
        vector = self._vector
        if not any(reasons_of_optimizer(optimizer, vector.parameters)):
            return FlatAdam(optimizer, vector)
        for parameter, gradient in zip(vector.parameters, vector.pieces(vector.gradient), strict=True):
            parameter.grad = gradient
        return optimizer

    def clip_gradient(self, max_norm: float) -> None:
        """Scale the gradient of all parameters together to a norm of ``max_norm`` at most."""
        clip_norm(self._vector.gradient, max_norm)


def actor_modules(policy: ActorCriticPolicy) -> list[nn.Module]:
    """Return the modules from observations to logits or means."""
    return [*policy.mlp_extractor.policy_net, policy.action_net]


def critic_modules(policy: ActorCriticPolicy) -> list[nn.Module]:
    """Return the modules from observations to values."""
    return [*policy.mlp_extractor.value_net, policy.value_net]
