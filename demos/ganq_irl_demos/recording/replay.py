"""Replay episodes: reset the environment to their seeds and repeat their actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl_demos.trajectories import Trajectory


def replay(trajectory: Trajectory, env: gym.Env) -> Iterator[tuple[Any, float, bool]]:
    """Reset to the episode's seed and repeat its actions.

    Yields:
        Observation, reward (0 for the first observation) and whether the episode is over: T + 1 times, or fewer if the
        environment ends earlier.
    """
    observation, _ = env.reset(seed=trajectory.seed)
    yield observation, 0.0, False
    for action in trajectory.actions:
        observation, reward, terminated, truncated, _ = env.step(np.asarray(action, env.action_space.dtype)[()])
        yield observation, float(reward), terminated or truncated
        if terminated or truncated:
            return
