"""The state of training at the start of a rollout.

At that point the rollout buffer is empty, no gradient is pending, and the local variables of ``learn`` have their initial
values. A resumed run therefore calls ``learn`` as the first run did, and replaces the state when the first rollout begins.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import VectorizedActionNoise
from torch import Tensor

from ganq_irl.generators.internals import collection_state, generator_state, load_collection_state, load_generator_state
from ganq_irl.runs.checkpoints.environments import (
    load_space_generators,
    load_wrapper_states,
    space_generators,
    wrapper_states,
)
from ganq_irl.runs.checkpoints.plain import NotPlain, from_plain, to_plain
from ganq_irl.runs.checkpoints.replay import load_replay_state, replay_state

_log = logging.getLogger(__name__)
_SDE = ("exploration_mat", "exploration_matrices")


def training_state(model: BaseAlgorithm, imitator: Any | None, callbacks: Sequence[BaseCallback]) -> dict[str, Any]:
    """Return the state of everything except simulators, global random states and log files.

    Args:
        model: the SB3 algorithm, inside its ``learn``.
        imitator: the imitation algorithm that trains it, if any.
        callbacks: the callbacks of the run; those with ``state_dict`` are saved.

    Raises:
        NotPlain: a wrapper around the environments is unknown.
    """
    state: dict[str, Any] = imitator._state_dict() if imitator is not None else {"generator": generator_state(model)}
    attributes, histories = collection_state(model)
    buffer = getattr(model, "replay_buffer", None)
    assert model.env is not None
    return {
        "algorithm": to_plain(_as_dicts(state)),
        "attributes": {name: to_plain(value) for name, value in attributes.items()},
        "histories": {name: to_plain(value) for name, value in histories.items()},
        "nanoseconds": time.time_ns() - model.start_time,
        "noise": [to_plain(vars(noise).get("noise_prev")) for noise in _noises(model)],
        "exploration": {name: to_plain(getattr(_distribution(model), name, None)) for name in _SDE},
        "spaces": [space_generators(space) for space in (model.action_space, model.observation_space)],
        "replay": None if buffer is None else replay_state(buffer),
        "wrappers": wrapper_states(model.env),
        "logger": logger_state(model.logger),
        "callbacks": [_callback_state(callback) for callback in callbacks],
    }


def load_training_state(
    model: BaseAlgorithm, imitator: Any | None, callbacks: Sequence[BaseCallback], state: dict[str, Any]
) -> None:
    """Restore ``training_state`` into objects that were built with the same settings.

    Raises:
        StorageError: they were not, or the state is malformed; other errors of such a state are left to the caller.
    """
    algorithm = from_plain(state["algorithm"])
    if imitator is not None:
        imitator._load_state_dict(algorithm)
    else:
        load_generator_state(model, algorithm["generator"])
    attributes, histories = (
        {name: from_plain(value) for name, value in state[key].items()} for key in ("attributes", "histories")
    )
    load_collection_state(model, attributes, histories)
    model.start_time = time.time_ns() - state["nanoseconds"]
    for noise, value in zip(_noises(model), state["noise"], strict=True):
        if value is not None:
            noise.noise_prev = from_plain(value)
    for name, value in state["exploration"].items():
        if name in _SDE and value is not None:
            setattr(_distribution(model), name, from_plain(value))
    for space, generators in zip((model.action_space, model.observation_space), state["spaces"], strict=True):
        load_space_generators(space, generators)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        load_replay_state(buffer, state["replay"])
    assert model.env is not None
    load_wrapper_states(model.env, state["wrappers"])
    load_logger_state(model.logger, state["logger"])
    _load_callbacks(callbacks, state["callbacks"])


def logger_state(logger: Logger) -> dict[str, Any]:
    """Return what was recorded since the last row, without images and the like."""
    values = {}
    for key, value in logger.name_to_value.items():
        try:
            values[key] = to_plain(value)
        except NotPlain:
            continue
    return {
        "values": values,
        "counts": {key: int(logger.name_to_count[key]) for key in values if key in logger.name_to_count},
        "excluded": {key: tuple(logger.name_to_excluded.get(key, ())) for key in values},
    }


def load_logger_state(logger: Logger, state: dict[str, Any]) -> None:
    """Restore ``logger_state``."""
    for present, key in (
        (logger.name_to_value, "values"),
        (logger.name_to_count, "counts"),
        (logger.name_to_excluded, "excluded"),
    ):
        present.clear()
        present.update(from_plain(state[key]))


def _callback_state(callback: BaseCallback) -> dict[str, Any]:
    own = callback.state_dict() if hasattr(callback, "state_dict") else None
    return {"kind": type(callback).__name__, "n_calls": callback.n_calls, "own": to_plain(own)}


def _load_callbacks(callbacks: Sequence[BaseCallback], states: list[dict[str, Any]]) -> None:
    """Restore callbacks by their order within each class, and warn about those that do not match."""
    left, fresh = list(states), []
    for callback in callbacks:
        state = next((state for state in left if state["kind"] == type(callback).__name__), None)
        if state is None:
            fresh += [type(callback).__name__] if hasattr(callback, "load_state_dict") else []
            continue
        left.remove(state)
        callback.n_calls = state["n_calls"]
        if hasattr(callback, "load_state_dict"):
            callback.load_state_dict(from_plain(state["own"]))
    unused = [state["kind"] for state in left if state["own"] is not None]
    if fresh:
        _log.warning("the checkpoint has no state of %s, which starts afresh", " and ".join(fresh))
    if unused:
        _log.warning("the checkpoint's state of %s is not used: this run has no such callback", " and ".join(unused))


def _noises(model: BaseAlgorithm) -> list[Any]:
    noise = model.action_noise
    if noise is None:
        return []
    return list(noise.noises) if isinstance(noise, VectorizedActionNoise) else [noise]


def _distribution(model: Any) -> Any:
    """Return the distribution whose exploration noise lasts several steps with ``use_sde``."""
    return getattr(getattr(model.policy, "actor", model.policy), "action_dist", None)


def _as_dicts(state: Any) -> Any:
    """Convert state dicts of any class to plain dicts."""
    if isinstance(state, Tensor | np.ndarray):
        return state
    if hasattr(state, "items"):
        return {key: _as_dicts(value) for key, value in state.items()}
    return type(state)(map(_as_dicts, state)) if type(state) in (list, tuple) else state
