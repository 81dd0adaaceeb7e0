"""Acrobot that goes on after success, so that episode length gives nothing away."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.acrobot import AcrobotEnv


class ContinuingAcrobotEnv(AcrobotEnv):
    """Acrobot in which reaching the goal restarts the pose instead of ending the episode.

    Observations, actions and dynamics are Acrobot-v1's. The reward is 1 on the step that reaches the goal, else 0, so the
    return of a 500-step episode is the number of goals reached. The goal is never a termination: a survival bonus or
    penalty, which a constant or random discriminator gives, explains no score here.
    """

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of Acrobot; on the goal, the returned observation is already the restarted pose."""
        observation, _, reached_goal, truncated, info = super().step(action)
        if reached_goal:
            self.state = self.np_random.uniform(low=-0.1, high=0.1, size=(4,)).astype(np.float32)  # type: ignore[assignment]
            observation = self._get_ob()
        return observation, float(reached_goal), False, truncated, info
