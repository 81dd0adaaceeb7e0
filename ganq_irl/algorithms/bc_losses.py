"""Losses with which behavioral cloning trains policies that have no likelihood of their own: actors and values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from imitation.algorithms.bc import BCTrainingMetrics
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor
from torch.nn.functional import cross_entropy

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.types import Observations

STANDARD_DEVIATION = 0.1
"""Standard deviation of a cloned squashed Gaussian before tanh, of actions in [-1, 1]. Its entropy is about -1 per
dimension, SAC's default target, so that the automatic entropy coefficient has no reason to change it."""


def check_clonable(policy: Any) -> None:
    """Raise unless behavioral cloning can train a policy.

    Raises:
        UnsupportedGenerator: it is neither of SB3's kinds.
    """
    if not isinstance(policy, BasePolicy) or not (isinstance(policy, ActorCriticPolicy) or _kind(policy) is not None):
        raise UnsupportedGenerator(
            f"behavioral cloning cannot train a {type(policy).__name__}: it has no likelihood, actor or action values in "
            "torch; use ppo, sac, td3, dqn or another generator of `ganq-irl train`"
        )


@dataclass(frozen=True)
class ActionLoss:
    """Loss of demonstrated actions under the networks that act; the same interface as that of imitation's BC.

    - Squashed Gaussian actors (SAC, TQC, CrossQ): squared error of the squashed mean, actions scaled to [-1, 1], and of the
      logarithm of the deviation from ``STANDARD_DEVIATION``. Demonstrations without noise have no finite likelihood.
    - Deterministic actors (TD3, DDPG): squared error.
    - Value learners (DQN, QR-DQN, GAN-Q): cross-entropy of softmax(Q). Only differences of values are learned.

    Attributes:
        l2_weight: weight of the squared norm of the parameters that act.
    """

    l2_weight: float

    def __call__(self, policy: Any, observations: Observations, actions: Tensor) -> BCTrainingMetrics:
        """Return the loss of a batch, with zeros for the metrics that do not apply."""
        kind = _kind(policy)
        if kind == "values":
            network = getattr(policy, "quantile_net", None) or policy.q_net
            values = network(observations)  # (batch, n_actions), or (batch, n_quantiles, n_actions)
            error = cross_entropy(values.mean(dim=1) if values.dim() == 3 else values, actions.reshape(-1).long())
        else:
            network, scaled = policy.actor, _scaled(actions, policy.action_space)
            error = (
                _squashed_error(network, observations, scaled)
                if kind == "squashed"
                else _error(network(observations), scaled)
            )
        norm = torch.stack([parameter.square().sum() for parameter in network.parameters()]).sum() / 2
        zero = torch.zeros(())
        loss = error + self.l2_weight * norm
        return BCTrainingMetrics(error.detach(), None, zero, zero, norm.detach(), zero, loss)


def _kind(policy: Any) -> str | None:
    actor = getattr(policy, "actor", None)
    if hasattr(actor, "get_action_dist_params"):
        return "squashed"
    if isinstance(actor, torch.nn.Module):
        return "deterministic"
    return "values" if hasattr(policy, "q_net") or hasattr(policy, "quantile_net") else None


def _squashed_error(actor: Any, observations: Observations, scaled: Tensor) -> Tensor:
    mean, log_std, _ = actor.get_action_dist_params(observations)
    error = _error(torch.tanh(mean), scaled)
    # State-dependent noise has parameters of another shape, and starts with a deviation of its own.
    return error if actor.use_sde else error + _error(log_std, torch.full_like(log_std, math.log(STANDARD_DEVIATION)))


def _error(given: Tensor, wanted: Tensor) -> Tensor:
    return (given - wanted).square().sum(dim=1).mean()


def _scaled(actions: Tensor, space: spaces.Box) -> Tensor:
    """Scale executed actions ``(batch, n)`` to [-1, 1], as off-policy actors output them."""
    low, high = (torch.as_tensor(bound, device=actions.device).flatten() for bound in (space.low, space.high))
    return (2 * (actions.float() - low) / (high - low) - 1).clamp(-1, 1)
