"""Point in a room with a wall that has a gap on the right or left: the maze of AIRL's transfer experiment."""

from __future__ import annotations

import math
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from ganq_irl.environments.walls import Rectangle, Vector, slide
from ganq_irl.errors import ConfigurationError

ROOM = Rectangle((-1.0, -1.0), (1.0, 1.0))
GOAL: Vector = (0.0, 0.8)
START = Rectangle((-0.3, -0.9), (0.3, -0.5))
WALLS = {"right": Rectangle((-2.0, -0.04), (0.2, 0.04)), "left": Rectangle((-0.2, -0.04), (2.0, 0.04))}
"""Wall by the side of its gap. The gap is 0.8 wide; on the other side the wall extends beyond the room."""
STEP = 0.2
"""Largest step along each axis."""
CONTROL_COST = 0.001


class PointMazeEnv(gym.Env[np.ndarray, np.ndarray]):
    """Go around a wall to a goal behind it, and stay there (after Fu et al., 2018, section 7.2).

    The observation is the point's position ``(2,)``, in a room of side 2 around the origin. The action ``(2,)`` in [-1, 1]
    moves the point by up to 0.2 along each axis, like a mass with such strong friction that force sets its velocity. The
    point slides along walls. It starts at random in a strip in front of the wall. The reward is -‖s - goal‖ - 0.001 ‖a‖²,
    almost a function of the state. No state is terminal: episodes end at a time limit, so their length carries no
    information.

    Args:
        gap: side of the gap, ``right`` or ``left``.

    Raises:
        ConfigurationError: ``gap`` is neither.
    """

    def __init__(self, gap: Literal["right", "left"] = "right") -> None:
        if gap not in WALLS:
            raise ConfigurationError(f"gap: given {gap!r}, expected 'right' or 'left'")
        self.wall = WALLS[gap]
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.position: Vector = START.low

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Start at a random point of the strip."""
        super().reset(seed=seed)
        x, y = self.np_random.uniform(START.low, START.high)
        self.position = (float(x), float(y))
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the point. The reward is that of the state before the move; actions are clipped to their space."""
        a, b = (min(max(float(one), -1.0), 1.0) for one in action)
        x, y = self.position
        distance = math.hypot(x - GOAL[0], y - GOAL[1])
        self.position = slide(self.position, (STEP * a, STEP * b), ROOM, (self.wall,))
        return self._observation(), -distance - CONTROL_COST * (a * a + b * b), False, False, {}

    def _observation(self) -> np.ndarray:
        return np.array(self.position, np.float32)


def point_maze() -> PointMazeEnv:
    """Make the maze to learn in, with the gap on the right."""
    return PointMazeEnv("right")


def shifted_point_maze() -> PointMazeEnv:
    """Make the maze to test in, with the gap on the left."""
    return PointMazeEnv("left")


def point_maze_reward(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return the maze's reward, ``(batch,)``."""
    distances = np.linalg.norm(np.asarray(observations, float) - GOAL, axis=1)
    return -distances - CONTROL_COST * (np.clip(actions, -1, 1) ** 2).sum(axis=1)
