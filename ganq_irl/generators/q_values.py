"""Q(s, ·) of any policy with action values, regardless of its class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from ganq_irl.types import Observations


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
