"""The training state of an SB3 algorithm, as nested values that can be stored without pickling."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.save_util import recursive_getattr

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
            for key, rms in _observation_statistics(model).items()
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
    for key, rms in _observation_statistics(model).items():
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


def _observation_statistics(model: BaseAlgorithm) -> dict[str, RunningMeanStd]:
    """Return VecNormalize's statistics for each key of a Dict space, or under the key "" for other spaces."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None or not normalizer.norm_obs:
        return {}
    return normalizer.obs_rms if isinstance(normalizer.obs_rms, dict) else {"": normalizer.obs_rms}
