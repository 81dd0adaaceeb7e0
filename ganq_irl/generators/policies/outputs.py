"""What a policy computes for given observations: log π(a|s) of executed actions, and Q(s, ·), regardless of its class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor, nn

from ganq_irl.generators.observations import normalized
from ganq_irl.types import Batch, Observations, mapped, to_float32


def has_action_values(policy: BasePolicy) -> bool:
    """Return whether a policy has values of its discrete actions."""
    return any(hasattr(policy, name) for name in ("q_values", "quantile_net", "q_net"))


def action_values(policy: BasePolicy, observations: Observations) -> Tensor:
    """Return the expected return of every action, ``(batch, n_actions)``, of a policy for which ``has_action_values``.

    - policies with a method ``q_values``: its result;
    - QR-DQN: the mean of the quantiles;
    - DQN: its network's output.

    Args:
        policy: the SB3 policy.
        observations: observations in the policy's format (normalized, images transposed), before its own preprocessing.
    """
    values: Any = policy
    if hasattr(values, "q_values"):
        return values.q_values(observations)
    if hasattr(values, "quantile_net"):
        return values.quantile_net(observations).mean(dim=1)  # (batch, n_quantiles, n_actions)
    return values.q_net(observations)


@torch.no_grad()
def predict_action_values(policy: BasePolicy, observations: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
    """Return ``action_values`` of a batch of arrays in the format of SB3's ``predict``, ``(batch, n_actions)`` float32."""
    chunks = _chunks(observations, size=1024)  # the activations for many images may not fit into memory
    return np.concatenate([action_values(policy, policy.obs_to_tensor(chunk)[0]).cpu().numpy() for chunk in chunks])


def _chunks(observations: Any, size: int) -> Iterator[Any]:
    if isinstance(observations, dict):
        parts = [_chunks(value, size) for value in observations.values()]
        yield from (dict(zip(observations, part, strict=True)) for part in zip(*parts, strict=True))
    else:
        yield from (observations[start : start + size] for start in range(0, len(observations), size))


def has_log_prob(model: BaseAlgorithm) -> bool:
    """Return whether ``log_probs`` is defined for this generator. Deterministic policies have no density."""
    return _kind(model) is not None


@torch.no_grad()
def log_probs(model: BaseAlgorithm, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Return log π(a|s) of the executed actions, ``(batch,)``.

    - Actor-critic policies (PPO, A2C, TRPO): density of the policy's distribution at the executed action, i.e. the clipped
      action of a Gaussian. The density of the unclipped action falls without bound outside the action space, and PPO would
      learn to exploit that (see the documentation).
    - SAC, TQC, CrossQ, and squashed actor-critic policies: density of the squashed distribution, in the environment's units.
    - Value learners (DQN, QR-DQN): the Boltzmann policy softmax(Q / temperature). They act ε-greedily, but the density of an
      ε-greedy policy is a step function of Q, which does not tell how much better an action is. The Boltzmann policy is what
      f - log π assumes of an optimal agent (Fu et al., 2018, section 3), and it is smooth in Q.
    """
    with _as_it_acts(model.policy):
        return _log_probs(model, batch, temperature)


def policy_log_probs(model: OnPolicyAlgorithm, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return log π(a|s) of an actor-critic policy with its gradient, ``(batch,)``, and the mean entropy."""
    policy: Any = model.policy
    observations = mapped(to_float32, normalized(model.get_vec_normalize_env(), batch.observations))
    _, log_prob, entropy = policy.evaluate_actions(observations, _flat(batch.actions, policy.action_space))
    return log_prob, (-log_prob if entropy is None else entropy).mean()  # as SB3 estimates an entropy without a formula


def _log_probs(model: BaseAlgorithm, batch: Batch, temperature: float) -> Tensor:
    observations = mapped(to_float32, normalized(model.get_vec_normalize_env(), batch.observations))
    kind = _kind(model)
    policy: Any = model.policy
    if kind == "actor-critic":
        distribution = policy.get_distribution(observations)
        if policy.squash_output:
            return _squashed_log_prob(distribution, policy.action_space, batch.actions)
        return distribution.log_prob(_flat(batch.actions, policy.action_space))
    if kind == "squashed":
        mean, log_std, kwargs = policy.actor.get_action_dist_params(observations)
        distribution = policy.actor.action_dist.proba_distribution(mean, log_std, **kwargs)
        return _squashed_log_prob(distribution, policy.action_space, batch.actions)
    q_values = action_values(policy, observations)  # (batch, n_actions)
    chosen = batch.actions.reshape(-1, 1).long()
    return torch.log_softmax(q_values / temperature, dim=1).gather(1, chosen).squeeze(1)


@contextmanager
def _as_it_acts(policy: nn.Module) -> Iterator[None]:
    """Put a policy into evaluation mode. CrossQ samples its replay in training mode, with batch statistics."""
    in_training = [module for module in policy.modules() if module.training]
    policy.train(False)
    try:
        yield
    finally:
        for module in in_training:
            module.training = True


def _kind(model: BaseAlgorithm) -> str | None:
    if isinstance(model.policy, ActorCriticPolicy):
        return "actor-critic"
    if hasattr(getattr(model.policy, "actor", None), "get_action_dist_params"):
        return "squashed"
    return "values" if has_action_values(model.policy) else None


def _flat(actions: Tensor, space: spaces.Space) -> Tensor:
    """Reshape actions for SB3's distributions: ``(batch, n)`` numbers, or ``(batch,)`` for a Discrete space."""
    return actions.reshape(len(actions)) if isinstance(space, spaces.Discrete) else actions.reshape(len(actions), -1).float()


def _squashed_log_prob(distribution: Any, space: spaces.Space, actions: Tensor) -> Tensor:
    assert isinstance(space, spaces.Box)
    low, high = (torch.as_tensor(bound, device=actions.device) for bound in (space.low, space.high))
    scaled = 2 * (actions - low) / (high - low) - 1  # to [-1, 1], the range of the squashed distribution
    jacobian = torch.log((high - low) / 2).sum()  # da/dscaled, for a density in the environment's units
    return distribution.log_prob(_flat(scaled, space)) - jacobian
