"""Record what the generator does in the environment, and withhold the environment's reward from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, unwrap_vec_normalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from ganq_irl.generators.spaces import in_layout_of
from ganq_irl.types import Batch, mapped

Rows = np.ndarray | dict[str, np.ndarray]


class TransitionRecorder(VecEnvWrapper):
    """Keep every transition since ``clear``, raw and as executed, and give a reward of zero instead of the environment's.

    The zeros are a *fresh* array at every step: SB3's on-policy algorithms add the time-limit bootstrap γV(terminal) to it
    in place, so that what they leave in their buffer's rewards is exactly that bootstrap.

    Observations are those before ``VecNormalize``. At an episode's end the next observation is the terminal one; under
    ``VecNormalize`` it reaches us normalised and is turned back, exact unless it was clipped.

    Args:
        venv: the generator's environment, whole.
        keep: whether to keep transitions; off-policy generators have a replay buffer for that.

    Attributes:
        withheld: the environments' own rewards of the last step, ``(n_envs,)``.
    """

    def __init__(self, venv: VecEnv, *, keep: bool) -> None:
        super().__init__(venv)
        self.withheld = np.zeros(venv.num_envs, dtype=np.float32)
        self.keep = keep
        self._normalize = unwrap_vec_normalize(venv)
        self._last: Rows = {}
        self.clear()

    def clear(self) -> None:
        """Forget the transitions kept."""
        self._observations: list[Rows] = []
        self._actions: list[np.ndarray] = []
        self._next_observations: list[Rows] = []
        self._terminated: list[np.ndarray] = []

    def reset(self) -> VecEnvObs:
        """Reset; what was kept stays."""
        observations = self.venv.reset()
        self._last = self._raw(observations)
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Step with the actions as the environment takes them."""
        self._executed = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Result of the step, with a reward of zero."""
        observations, self.withheld, dones, infos = self.venv.step_wait()
        if self.keep:
            self._record(observations, dones, infos)
        # float32 whatever the environment pays in: a bootstrap added to integers would be cut to one.
        return observations, np.zeros(self.num_envs, dtype=np.float32), dones, infos

    def _record(self, observations: VecEnvObs, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        following = current = self._raw(observations)
        terminated = dones.copy()  # an environment may use its array again
        if dones.any():
            following = mapped(np.copy, current)
            for index in np.flatnonzero(dones):
                terminated[index] = not infos[index].get("TimeLimit.truncated", False)
                _assign(following, int(index), self._raw_terminal(infos[index]["terminal_observation"]))
        self._observations.append(self._last)
        self._actions.append(self._executed)
        self._next_observations.append(following)
        self._terminated.append(terminated)
        self._last = current

    def _raw(self, observations: Any) -> Rows:
        if self._normalize is None:
            return observations
        return in_layout_of(self.observation_space, self._normalize.get_original_obs())

    def _raw_terminal(self, observation: Any) -> Any:
        return observation if self._normalize is None else self._normalize.unnormalize_obs(observation)

    def transitions(self, device: torch.device) -> Batch:
        """All transitions kept, ``(n_steps * n_envs)`` rows, the environments of one step side by side."""
        return Batch(
            observations=_flatten(self._observations, device),
            actions=_flatten(self._actions, device),
            next_observations=_flatten(self._next_observations, device),
            dones=_flatten(self._terminated, device).float(),
        )


@contextlib.contextmanager
def recording(model: BaseAlgorithm, *, keep: bool) -> Iterator[TransitionRecorder]:
    """Record the model's environment for the length of a block, and give it back as it was.

    Meanwhile ``get_env`` still gives the environment itself: SB3's ``EvalCallback`` compares it, layer by layer, with its
    own to keep the statistics of two ``VecNormalize`` alike, and a layer more would break that. The method lies on a
    subclass rather than on the model, since SB3's ``save`` writes whatever a model holds.
    """
    env = model.get_env()
    assert env is not None
    recorder = TransitionRecorder(env, keep=keep)
    plain = type(model)
    model.set_env(recorder)
    model.__class__ = type(plain.__name__, (plain,), {"get_env": lambda _: env})
    try:
        yield recorder
    finally:
        model.__class__ = plain
        model.set_env(env, force_reset=False)


def _assign(rows: Rows, index: int, value: Any) -> None:
    if isinstance(rows, dict):
        for key, array in rows.items():
            array[index] = value[key]
    else:
        rows[index] = value


def _flatten(steps: list[Any], device: torch.device) -> Any:
    """A list of ``(n_envs, *shape)`` to one tensor ``(n_steps * n_envs, *shape)``; float64 becomes float32."""
    if isinstance(steps[0], dict):
        return {key: _flatten([step[key] for step in steps], device) for key in steps[0]}
    rows = torch.as_tensor(np.concatenate(steps), device=device)
    return rows.float() if rows.dtype == torch.float64 else rows
