"""Acrobot that continues after success, so that episode length carries no information."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv


class ContinuingAcrobotEnv(AcrobotEnv):
    """Acrobot in which reaching the goal resets the pose instead of ending the episode.

    Observations, actions and dynamics are those of Acrobot-v1. The reward is 1 on the step that reaches the goal, otherwise
    0, so the return of a 500-step episode is the number of goals reached. The episode never terminates, so a survival bonus
    or penalty, which even a constant or random discriminator gives, cannot explain a score.
    """

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a step of Acrobot. At the goal, the returned observation is that of the new pose."""
        observation, _, reached_goal, truncated, info = super().step(action)
        if reached_goal:
            self.state = self.np_random.uniform(low=-0.1, high=0.1, size=(4,)).astype(np.float32)  # type: ignore[assignment]
            observation = self._get_ob()
        return observation, float(reached_goal), False, truncated, info
