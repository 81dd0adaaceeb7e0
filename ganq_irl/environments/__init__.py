"""Environments of our own, for which a score means something; importing this package registers them with Gymnasium.

``gym.make("ganq_irl.environments:ganq_irl/ContinuingAcrobot-v0")`` imports and makes in one call.
"""

from __future__ import annotations

import gymnasium as gym

CONTINUING_ACROBOT = "ganq_irl/ContinuingAcrobot-v0"


def register_envs() -> None:
    """Register the toolkit's environments. Idempotent."""
    if CONTINUING_ACROBOT not in gym.registry:
        gym.register(
            CONTINUING_ACROBOT,
            entry_point="ganq_irl.environments.acrobot:ContinuingAcrobotEnv",
            max_episode_steps=500,
        )


register_envs()
