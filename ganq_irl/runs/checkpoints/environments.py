"""The states of environments as plain values, layer by layer, from the simulation to SB3's wrappers.

An environment whose attributes are plain values (numbers, strings, arrays, random generators, lists and dicts of them) is
saved by its attributes: Gymnasium's classic control and toy text, and our own. One whose state is in a simulator's objects
(Box2D, MuJoCo, emulators) cannot be saved: a resumed run then begins new episodes, see ``boundary.py``. An environment or a
wrapper may also implement ``state_dict()`` and ``load_state_dict(state)`` with plain values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper, VecNormalize, VecTransposeImage

from ganq_irl.errors import StorageError
from ganq_irl.rewards.wrappers import VecRewardWrapper, layers_of
from ganq_irl.runs.checkpoints.plain import NotPlain, from_plain, to_plain

# the attributes that change while an environment runs; the others are settings
_LAYERS: dict[type, tuple[str, ...]] = {
    TimeLimit: ("_elapsed_steps",),
    OrderEnforcing: ("_has_reset",),
    PassiveEnvChecker: (),  # it remembers only that it has warned
    Monitor: ("rewards", "needs_reset", "total_steps", "current_reset_info"),
    VecTransposeImage: (),
    VecRewardWrapper: ("_last",),
}
_STATISTICS = ("returns", "old_reward", "old_obs")  # of VecNormalize, besides the running statistics


def wrapper_states(venv: VecEnv) -> list[Any]:
    """Return the states of the wrappers around a vectorized environment, outermost first.

    Raises:
        NotPlain: a wrapper is of an unknown class.
    """
    return [_layer_state(layer) for layer in layers_of(venv)]


def load_wrapper_states(venv: VecEnv, states: list[Any]) -> None:
    """Restore ``wrapper_states`` into the same kinds of wrappers.

    Raises:
        StorageError: the wrappers differ.
    """
    _load_layers(list(layers_of(venv)), states)


def simulator_states(venv: VecEnv) -> list[list[Any]]:
    """Return the states of all environments in this process, each layer by layer.

    Raises:
        NotPlain: an environment has state that plain data cannot describe, or runs in another process.
    """
    if type(venv.unwrapped) is not DummyVecEnv:
        raise NotPlain(f"a {type(venv.unwrapped).__name__}, whose environments live elsewhere")
    states = []
    for env in venv.unwrapped.envs:
        memory = _Memory()
        states.append([_layer_state(layer, memory) for layer in _layers(env)])
    return states


def load_simulator_states(venv: VecEnv, states: list[list[Any]]) -> None:
    """Restore ``simulator_states``.

    Raises:
        StorageError: the environments differ.
    """
    base: Any = venv.unwrapped
    if len(base.envs) != len(states):
        raise StorageError(f"the checkpoint has {len(states)} environments, this run has {len(base.envs)}")
    for env, layers in zip(base.envs, states, strict=True):
        _load_layers(list(_layers(env)), layers)


def _layers(env: gym.Env) -> Iterator[gym.Env]:
    yield env
    while isinstance(env, gym.Wrapper):
        env = env.env
        yield env


def _load_layers(layers: list[Any], states: list[Any]) -> None:
    names = [type(layer).__name__ for layer in layers]
    stored = [state["layer"] for state in states]
    if names != stored:
        raise StorageError(f"the checkpoint's environment is made of {stored}, this run's of {names}")
    for layer, state in zip(layers, states, strict=True):
        _load_layer(layer, state)


class _Memory:
    """Detects attributes that share memory; restored, they would be separate."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def check(self, name: str, value: Any) -> None:
        """Raise NotPlain if the value or a part of it was seen before."""
        if isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):
                value = value.base
        if isinstance(value, np.ndarray | list | dict):
            if id(value) in self._seen:
                raise NotPlain(f"{name}, which shares its memory with another attribute")
            self._seen[id(value)] = value
        if isinstance(value, list | tuple | dict):
            for entry in value.values() if isinstance(value, dict) else value:
                self.check(name, entry)


def _layer_state(layer: Any, memory: _Memory | None = None) -> dict[str, Any]:
    name = type(layer).__name__
    if hasattr(type(layer), "state_dict") and hasattr(type(layer), "load_state_dict"):
        return {"layer": name, "own": to_plain(layer.state_dict())}
    if isinstance(layer, VecNormalize):
        return {"layer": name, "statistics": _normalizer_state(layer)}
    known = _LAYERS.get(type(layer))
    if known is not None:
        return {"layer": name, "attributes": {key: to_plain(getattr(layer, key)) for key in known}}
    if isinstance(layer, VecEnvWrapper):
        raise NotPlain(f"a {name}, of which it is unknown what it remembers")
    return {"layer": name, **_attributes(layer, memory or _Memory())}


def _attributes(env: Any, memory: _Memory) -> dict[str, Any]:
    """Return all attributes of an environment of an unknown class."""
    if any(vars(kind).get("__slots__") for kind in type(env).__mro__):
        raise NotPlain(f"{type(env).__name__}, whose __slots__ may hide a part of it")
    attributes, generators = {}, {}
    for key, value in vars(env).items():
        if key == "env" and isinstance(env, gym.Wrapper):
            continue
        if isinstance(value, spaces.Space):
            generators[key] = space_generators(value)
            continue
        try:
            memory.check(key, value)
            attributes[key] = to_plain(value)
        except NotPlain as error:
            raise NotPlain(f"{type(env).__name__}.{key}: {error}") from error
    return {"attributes": attributes, "spaces": generators}


def _load_layer(layer: Any, state: dict[str, Any]) -> None:
    if "own" in state:
        layer.load_state_dict(from_plain(state["own"]))
        return
    if "statistics" in state:
        _load_normalizer(layer, state["statistics"])
        return
    present = vars(layer)
    for key, value in state["attributes"].items():
        if key.startswith("__") or callable(getattr(type(layer), key, None)):
            raise StorageError(f"the checkpoint would replace {type(layer).__name__}.{key}, which is no data")
        present[key] = from_plain(value, present.get(key))
    for key, generators in state.get("spaces", {}).items():
        if isinstance(present.get(key), spaces.Space):
            load_space_generators(present[key], generators)


def _normalizer_state(venv: VecNormalize) -> dict[str, Any]:
    return {
        "running": {key: _running(rms) for key, rms in _running_statistics(venv)},
        **{key: to_plain(getattr(venv, key)) for key in _STATISTICS if key in vars(venv)},
    }


def _load_normalizer(venv: VecNormalize, state: dict[str, Any]) -> None:
    for key, rms in _running_statistics(venv):
        saved = from_plain(state["running"][key])
        rms.mean, rms.var, rms.count = saved["mean"], saved["var"], saved["count"]
    for key in _STATISTICS:
        if key in state:
            setattr(venv, key, from_plain(state[key]))


def _running_statistics(venv: VecNormalize) -> Iterator[tuple[str, RunningMeanStd]]:
    yield "return", venv.ret_rms
    if venv.norm_obs:
        rms = venv.obs_rms
        yield from ((f"observation/{key}", value) for key, value in (rms if isinstance(rms, dict) else {"": rms}).items())


def _running(rms: RunningMeanStd) -> dict[str, Any]:
    return {"mean": to_plain(np.asarray(rms.mean)), "var": to_plain(np.asarray(rms.var)), "count": to_plain(rms.count)}


def space_generators(space: spaces.Space) -> dict[str, Any]:
    """Return the random states of a space and its parts; a space that never drew has none."""
    parts = _parts(space)
    own = space._np_random
    return {
        "own": None if own is None else to_plain(own),
        "parts": {key: space_generators(part) for key, part in parts.items()},
    }


def load_space_generators(space: spaces.Space, state: Mapping[str, Any]) -> None:
    """Restore ``space_generators``."""
    space._np_random = from_plain(state["own"])
    for key, part in _parts(space).items():
        load_space_generators(part, state["parts"][key])


def _parts(space: spaces.Space) -> dict[str, spaces.Space]:
    parts = getattr(space, "spaces", {})
    return {str(key): part for key, part in (parts.items() if isinstance(parts, Mapping) else enumerate(parts))}
