"""A wrapper that records the episodes played in an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl.episodes import copied, require_finite, stacked
from ganq_irl_demos.trajectories import Trajectory

TRAJECTORY = "trajectory"
"""Key of ``info`` that holds the recorded episode."""


class EpisodeRecorder(gym.Wrapper):
    """Add the recorded episode to the ``info`` of its last step. Values are copied, so environments may reuse buffers.

    Attributes:
        actions: actions of the current episode.
        rewards: its rewards.

    Raises:
        EnvironmentFailed: an observation is not finite, in a step or a reset.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._seed, self._observations = seed, list[Any]()
        self.actions, self.rewards = list[np.ndarray](), list[float]()
        self._add(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.actions.append(np.array(action))
        self.rewards.append(float(reward))
        self._add(observation)
        if terminated or truncated:
            rows = stacked(self._observations), np.stack(self.actions), np.array(self.rewards)
            info = {**info, TRAJECTORY: Trajectory(*rows, bool(terminated), bool(truncated), self._seed)}
        return observation, reward, terminated, truncated, info

    def _add(self, observation: Any) -> None:
        require_finite(observation, self.env, f"at step {len(self.actions)} of the episode from seed {self._seed}")
        self._observations.append(copied(observation))
