"""The generator's newest steps in their order, with the environment's rewards, for teachers that compare segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.episodes import stacked
from ganq_irl.feedback import Steps
from ganq_irl.generators.off_policy.pricing import executed_actions, latest_indices
from ganq_irl.generators.on_policy.recorder import TransitionRecorder
from ganq_irl.types import mapped


class StepRecorder(TransitionRecorder):
    """A recorder that also keeps the environment's rewards, which the generator still does not see."""

    def clear(self) -> None:
        """Discard what was recorded."""
        super().clear()
        self._rewards: list[np.ndarray] = []
        self._ended: list[np.ndarray] = []

    def _keep(self, rewards: np.ndarray, dones: np.ndarray) -> None:
        self._rewards.append(np.array(rewards, dtype=np.float32))
        self._ended.append(np.array(dones))

    def play(self, act: Callable[[Any], np.ndarray], n_steps: int) -> Steps:
        """Reset the environments, take steps, and return them; statistics of a ``VecNormalize`` stay as they are.

        Args:
            act: returns the actions for raw observations, ``(n_envs, *shape)``.
            n_steps: steps of each environment.
        """
        self.clear()
        with _unchanged(self._normalize):
            self._last = self._raw(self.venv.reset())
            for _ in range(n_steps):
                self.step(act(self._last))
        return self.steps()

    def steps(self) -> Steps:
        """Return all steps since the recorder was cleared."""
        return Steps(
            observations=stacked(self._observations),
            actions=np.stack(self._actions),
            next_observations=stacked(self._next_observations),
            rewards=np.stack(self._rewards),
            terminated=np.stack(self._terminated),
            ended=np.stack(self._ended),
        )


@contextmanager
def _unchanged(normalize: VecNormalize | None) -> Iterator[None]:
    before = normalize is not None and normalize.training
    if normalize is not None:
        normalize.training = False
    try:
        yield
    finally:
        if normalize is not None:
            normalize.training = before


def replayed_steps(buffer: ReplayBuffer, n: int) -> Steps:
    """Return the newest ``n`` steps of each environment in a replay buffer, or all if there are fewer."""
    index = latest_indices(buffer, n)[::-1]

    def rows(array: Any) -> Any:
        return mapped(lambda each: each[index], array)

    stored = buffer.actions[index]  # (n_steps, n_envs, dim)
    executed = executed_actions(torch.from_numpy(stored.reshape(-1, stored.shape[2])), buffer.action_space)
    dones, timeouts = buffer.dones[index] > 0, buffer.timeouts[index] > 0
    return Steps(
        observations=rows(buffer.observations),
        actions=executed.numpy().reshape(*stored.shape[:2], *executed.shape[1:]),
        next_observations=rows(buffer.next_observations),
        rewards=buffer.rewards[index],
        terminated=dones & ~timeouts,
        ended=dones | timeouts,
    )
