"""Ant over a fixed horizon, whole and with two legs disabled; MuJoCo is imported when one is made."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

FRONT_LEGS = ("hip_1", "ankle_1", "hip_2", "ankle_2")
"""Joints of the legs that are disabled."""


def ant(**kwargs: Any) -> gym.Env:
    """Gymnasium's newest Ant without terminations, survival bonus and contact forces, 27 observations: run forwards.

    The reward is forward velocity minus the cost of control, so that a survival bonus explains no score.

    Args:
        kwargs: of Gymnasium's Ant.
    """
    settings: dict[str, Any] = {"terminate_when_unhealthy": False, "healthy_reward": 0.0, **kwargs}
    if "Ant-v5" in gym.registry:
        settings = {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0, **settings}
        return gym.make("Ant-v5", **settings).unwrapped
    return gym.make("Ant-v4", **settings).unwrapped


def disabled_ant(**kwargs: Any) -> gym.Env:
    """``ant`` whose two front legs have joints without power (Fu et al., 2018, section 7.2, shorten them as well)."""
    env = ant(**kwargs)
    model = env.model  # type: ignore[attr-defined]
    joints = [model.joint(name).id for name in FRONT_LEGS]
    model.actuator_gear[np.isin(model.actuator_trnid[:, 0], joints)] = 0.0
    return env
