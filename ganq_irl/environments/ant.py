"""Ant with a fixed horizon, intact or with two disabled legs. MuJoCo is imported when an environment is made."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

FRONT_LEGS = ("hip_1", "ankle_1", "hip_2", "ankle_2")
"""Joints of the disabled legs."""


def ant(**kwargs: Any) -> gym.Env:
    """Make Gymnasium's latest Ant without terminations, survival bonus and contact forces (27 observations).

    The reward is the forward velocity minus the control cost, so no score can come from a survival bonus.

    Args:
        kwargs: keyword arguments of Gymnasium's Ant.
    """
    settings: dict[str, Any] = {"terminate_when_unhealthy": False, "healthy_reward": 0.0, **kwargs}
    if "Ant-v5" in gym.registry:
        settings = {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0, **settings}
        return gym.make("Ant-v5", **settings).unwrapped
    return gym.make("Ant-v4", **settings).unwrapped


def disabled_ant(**kwargs: Any) -> gym.Env:
    """Make ``ant`` with unpowered joints in its two front legs (Fu et al., 2018, section 7.2, also shorten them)."""
    env = ant(**kwargs)
    model = env.model  # type: ignore[attr-defined]
    joints = [model.joint(name).id for name in FRONT_LEGS]
    model.actuator_gear[np.isin(model.actuator_trnid[:, 0], joints)] = 0.0
    return env
