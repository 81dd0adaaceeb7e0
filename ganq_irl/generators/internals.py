"""Access to private parts of SB3's algorithms, as functions with plain names, and their state as plain values.

SB3 may rename these attributes and methods in any release; nothing outside this package uses them.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.save_util import recursive_getattr
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


def time_limit(model: BaseAlgorithm) -> int | None:
    """Return the steps after which the model's environment truncates an episode, or None if it does not tell."""
    env = model.get_env()
    assert env is not None, "checked when the algorithm was built"
    try:
        spec = env.get_attr("spec", indices=0)[0]
    except (AttributeError, NotImplementedError):  # vectorized environments of other packages
        return None
    return getattr(spec, "max_episode_steps", None)


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


# Plain attributes of SB3's algorithms: counts of steps, episodes and updates, which time delayed and target updates.
_COUNTERS = ("num_timesteps", "_episode_num", "_n_updates", "_n_calls", "exploration_rate")
# Where collection of experience continues; the last one holds GAN-Q's current random actions.
_COLLECTION = ("_last_obs", "_last_episode_starts", "_last_original_obs", "_current_progress_remaining", "_under_way")
_HISTORIES = ("ep_info_buffer", "ep_success_buffer")


def generator_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Return networks, optimizers, single tensors (SAC's entropy coefficient), counters, and VecNormalize's statistics."""
    return {
        "parameters": model.get_parameters(),
        "variables": {name: recursive_getattr(model, name).detach() for name in _variables(model)},
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "observation_statistics": {
            key: {"mean": torch.as_tensor(rms.mean), "var": torch.as_tensor(rms.var), "count": float(rms.count)}
            for key, rms in observation_statistics(model).items()
        },
    }


def load_generator_state(model: BaseAlgorithm, state: dict[str, Any]) -> None:
    """Restore the result of ``generator_state`` into a model that was built in the same way.

    Raises:
        KeyError: a part of the model is missing from the state.
        RuntimeError: networks have other shapes.
        ValueError: parameters or counters belong to another kind of model.
    """
    model.set_parameters(copy.deepcopy(state["parameters"]), exact_match=True, device=model.device)
    for name in _variables(model):
        recursive_getattr(model, name).data.copy_(state["variables"][name])
    for name, value in state["counters"].items():
        if not hasattr(model, name):
            raise ValueError(f"the state counts {name}, which {type(model).__name__} does not")
        setattr(model, name, value)
    for key, rms in observation_statistics(model).items():
        saved = state["observation_statistics"][key]
        rms.mean, rms.var, rms.count = saved["mean"].cpu().numpy(), saved["var"].cpu().numpy(), saved["count"]


def collection_state(model: BaseAlgorithm) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return where collection of experience continues, and the scores of recent episodes."""
    attributes = {name: getattr(model, name) for name in _COLLECTION if hasattr(model, name)}
    return attributes, {name: list(getattr(model, name)) for name in _HISTORIES}


def load_collection_state(model: BaseAlgorithm, attributes: dict[str, Any], histories: dict[str, list[Any]]) -> None:
    """Restore the result of ``collection_state``.

    Raises:
        KeyError: a history is missing.
    """
    for name in attributes.keys() & set(_COLLECTION):
        setattr(model, name, attributes[name])
    for name in _HISTORIES:
        setattr(model, name, deque(histories[name], maxlen=model._stats_window_size))


def _variables(model: BaseAlgorithm) -> list[str]:
    return model._get_torch_save_params()[1]


def observation_statistics(model: BaseAlgorithm) -> dict[str, RunningMeanStd]:
    """Return VecNormalize's statistics for each key of a Dict space, or under the key "" for other spaces."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None or not normalizer.norm_obs:
        return {}
    return normalizer.obs_rms if isinstance(normalizer.obs_rms, dict) else {"": normalizer.obs_rms}
