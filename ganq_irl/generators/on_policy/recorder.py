"""Record the generator's transitions, and hide the environment's rewards from it, or weight them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, unwrap_vec_normalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from ganq_irl.episodes import transitions_end
from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.spaces import in_layout_of
from ganq_irl.types import Batch, to_float32

ArrayObs = np.ndarray | dict[str, np.ndarray]


class TransitionRecorder(VecEnvWrapper):
    """Record all transitions since ``clear``, raw and as executed, and return weighted rewards, by default zeros.

    The rewards are a *new* array at every step. SB3's on-policy algorithms add the time-limit bootstrap γV(terminal) to it
    in place, so that the rewards in their buffer are that bootstrap plus the weighted rewards.

    Observations are recorded without ``VecNormalize``. At the end of an episode, the next observation is the terminal one.
    ``VecNormalize`` has already normalized it, so it is unnormalized, which is exact unless it was clipped.

    Args:
        venv: the generator's environment with all its wrappers.
        observed: returns the observations of the generator's next action; called at the first step after ``clear``.
        task_weight: weight of the environment's rewards; with 0, they are never read.
    """

    def __init__(self, venv: VecEnv, observed: Callable[[], Any], task_weight: float = 0.0) -> None:
        super().__init__(venv)
        self._observed, self._task_weight = observed, task_weight
        self._normalize = unwrap_vec_normalize(venv)
        self.clear()

    def clear(self) -> None:
        """Discard the recorded transitions."""
        self._observations: list[ArrayObs] = []
        self._actions: list[np.ndarray] = []
        self._next_observations: list[ArrayObs] = []
        self._terminated: list[np.ndarray] = []
        self._last: ArrayObs | None = None

    def reset(self) -> VecEnvObs:
        """Reset the environment; recorded transitions are kept."""
        self._last = None
        return self.venv.reset()

    def step_async(self, actions: np.ndarray) -> None:
        """Step with executed actions."""
        if self._last is None:
            self._last = self._raw(self._observed())
        self._executed = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Return the result of the step with weighted rewards."""
        observations, rewards, dones, infos = self.venv.step_wait()
        self._record(observations, dones, infos)
        self._keep(rewards, dones)
        # float32 whatever the type of the environment's rewards: integers would truncate the bootstrap.
        weighted = np.zeros(self.num_envs, dtype=np.float32)
        if self._task_weight:
            weighted += self._task_weight * rewards
        return observations, weighted, dones, infos

    def _keep(self, rewards: np.ndarray, dones: np.ndarray) -> None:
        """Do nothing; a recorder for teachers keeps the environment's rewards and the ends of episodes."""

    def _record(self, observations: VecEnvObs, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        current = self._raw(observations)
        following, terminated = transitions_end(current, dones, infos, self._raw_terminal)
        assert self._last is not None
        self._observations.append(self._last)
        self._actions.append(self._executed)
        self._next_observations.append(following)
        self._terminated.append(terminated)
        self._last = current

    def _raw(self, observations: Any) -> ArrayObs:
        if self._normalize is None:
            return observations
        return in_layout_of(self.observation_space, self._normalize.get_original_obs())

    def _raw_terminal(self, observation: Any) -> Any:
        return observation if self._normalize is None else self._normalize.unnormalize_obs(observation)

    def transitions(self, device: torch.device) -> Batch:
        """Return all recorded transitions, ``(n_steps * n_envs)`` rows, with the environments of a step next to each other.

        Raises:
            UnsupportedGenerator: there are none, because the generator does not step its own environment.
        """
        if not self._observations:
            raise UnsupportedGenerator(
                "the generator collected a rollout without stepping the recorded environment: this release of "
                "Stable-Baselines3, or this algorithm, collects in another way; use releases 2.2.1 to 2.9"
            )
        return Batch(
            observations=_flatten(self._observations, device),
            actions=_flatten(self._actions, device),
            next_observations=_flatten(self._next_observations, device),
            dones=_flatten(self._terminated, device).float(),
        )


def _flatten(steps: list[Any], device: torch.device) -> Any:
    """Convert a list of ``(n_envs, *shape)`` to one tensor ``(n_steps * n_envs, *shape)``; float64 becomes float32."""
    if isinstance(steps[0], dict):
        return {key: _flatten([step[key] for step in steps], device) for key in steps[0]}
    return to_float32(torch.as_tensor(np.concatenate(steps), device=device))
