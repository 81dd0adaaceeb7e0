"""Access to private parts of SB3's algorithms, as functions with plain names.

SB3 may rename these attributes and methods in any release; nothing outside this package uses them.
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
    """Return the remaining fraction of ``learn``, from 1 to 0, that SB3 passes to schedules after this rollout.

    SB3 updates its own value only at the end of an on-policy rollout, and a second ``learn`` starts with the old value of 0.
    The last rollout may overshoot the total, so the value is clipped at 0.
    """
    return max(0.0, 1.0 - model.num_timesteps / model._total_timesteps)


def last_observations(model: BaseAlgorithm) -> Any:
    """Return the observations for the model's next action, or None before its first ``learn``."""
    return getattr(model, "_last_obs", None)


def restart_episodes(model: BaseAlgorithm) -> None:
    """Reset the environments. Unfinished episodes count as truncated."""
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
        buffer.timeouts[newest, buffer.dones[newest] == 0] = 1  # n-step returns stop here


def n_updates(model: BaseAlgorithm) -> int:
    """Return the model's count of updates: gradient steps off-policy, epochs for PPO."""
    return model._n_updates


def count_update(model: BaseAlgorithm) -> None:
    """Increment the model's count of updates."""
    model._n_updates += 1


def update_learning_rates(model: BaseAlgorithm, optimizers: Sequence[Optimizer]) -> None:
    """Set the optimizers to the current learning rate of the model's schedule and log it, as the model's ``train`` does."""
    model._update_learning_rate(list(optimizers))


def has_target_networks(model: OffPolicyAlgorithm) -> bool:
    """Return whether the model bootstraps from target networks, which CrossQ does not."""
    return any("target" in name for name, _ in model.policy.named_children())


def target_clock(model: OffPolicyAlgorithm) -> int:
    """Return the clock of target updates: environment steps for DQN and its variants, gradient steps otherwise."""
    return model._n_calls if hasattr(model, "_n_calls") else n_updates(model)


def target_moves(model: OffPolicyAlgorithm, since: int) -> int:
    """Return the number of target updates since ``since``.

    Args:
        model: a model after a rollout or a call of ``train``.
        since: value of ``target_clock`` before.
    """
    sb3: Any = model
    now = target_clock(model)
    if hasattr(sb3, "_n_calls"):
        interval = max(sb3.target_update_interval // sb3.n_envs, 1)
        return now // interval - since // interval
    if hasattr(sb3, "target_update_interval"):  # SAC counts from 0 in each call of train, and updates at its first step
        return math.ceil((now - since) / sb3.target_update_interval)
    return now // sb3.policy_delay - since // sb3.policy_delay  # TD3 updates its targets together with its policy
