"""The private parts of SB3's algorithms that other rooms need, as functions with plain names.

SB3 may rename these attributes and methods in any release; nothing else outside of this room uses them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch.optim import Optimizer


def progress_remaining(model: BaseAlgorithm) -> float:
    """Return the fraction of ``learn`` that is left, from 1 to 0: what SB3 hands to schedules after this collection.

    SB3 updates its own value only after an on-policy rollout has ended, and a second run begins with a value of 0. The last
    rollout may overshoot the total, and a rate must not become negative.
    """
    return max(0.0, 1.0 - model.num_timesteps / model._total_timesteps)


def last_observations(model: BaseAlgorithm) -> Any:
    """Return the observations that the model acts on next, or None before its first ``learn``."""
    return getattr(model, "_last_obs", None)


def restart_episodes(model: BaseAlgorithm) -> None:
    """Reset the environments. The episodes that were running end as if a time limit had cut them."""
    sb3: Any = model
    sb3._last_obs = sb3.env.reset()
    sb3._last_episode_starts = np.ones(sb3.env.num_envs, dtype=bool)
    if sb3.get_vec_normalize_env() is not None:
        sb3._last_original_obs = sb3.get_vec_normalize_env().get_original_obs()
    if sb3.action_noise is not None:
        sb3.action_noise.reset()
    buffer = getattr(sb3, "replay_buffer", None)
    if buffer is not None and buffer.size():
        newest = buffer.pos - 1
        buffer.timeouts[newest, buffer.dones[newest] == 0] = 1  # n-step returns go no further than this


def n_updates(model: BaseAlgorithm) -> int:
    """Return the number of updates that the model has counted: gradient steps off-policy, epochs for PPO."""
    return model._n_updates


def count_update(model: BaseAlgorithm) -> None:
    """Count one more update."""
    model._n_updates += 1


def update_learning_rates(model: BaseAlgorithm, optimizers: Sequence[Optimizer]) -> None:
    """Set the optimizers to today's rate of the model's schedule and log it, as the model's own ``train`` does."""
    model._update_learning_rate(list(optimizers))


def target_clock(model: OffPolicyAlgorithm) -> int:
    """Return what times the target networks: environment steps for DQN and its kin, gradient steps for all others."""
    return model._n_calls if hasattr(model, "_n_calls") else n_updates(model)


def target_moves(model: OffPolicyAlgorithm, since: int) -> int:
    """Return how many times the target networks have moved.

    Args:
        model: after one collection of experience, or one call of its ``train``.
        since: ``target_clock`` before.
    """
    sb3: Any = model
    now = target_clock(model)
    if hasattr(sb3, "_n_calls"):
        interval = max(sb3.target_update_interval // sb3.n_envs, 1)
        return now // interval - since // interval
    if hasattr(sb3, "target_update_interval"):  # SAC counts anew in each call of train, and moves at its first step
        return math.ceil((now - since) / sb3.target_update_interval)
    return now // sb3.policy_delay - since // sb3.policy_delay  # TD3 moves its targets with its policy
