"""CartPole that continues after a fall, with adjustable masses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from ganq_irl.errors import ConfigurationError

TAU = 0.02
"""Seconds per step. This and the limits below are those of CartPole-v1."""
MAX_POSITION, MAX_ANGLE = 2.4, math.radians(12)


class ContinuingCartPoleEnv(CartPoleEnv):
    """CartPole in which a fall, or leaving the track, resets the pose instead of ending the episode.

    Observations, actions and dynamics are those of CartPole-v1. The reward is -1 on a step with a fall, otherwise 0, so the
    return is minus the number of falls and at most 0. A survival bonus, which even a constant or random discriminator gives
    and which alone solves CartPole-v1, cannot explain a score here.

    Args:
        cart_mass: mass of the cart; 1 in CartPole-v1.
        pole_mass: mass of the pole; 0.1 in CartPole-v1.
        pole_length: length of the pole; 1 in CartPole-v1.
        render_mode: as in CartPole-v1.

    Raises:
        ConfigurationError: a mass or length is not positive.
    """

    def __init__(
        self, cart_mass: float = 1.0, pole_mass: float = 0.1, pole_length: float = 1.0, render_mode: str | None = None
    ) -> None:
        for name, value in (("cart_mass", cart_mass), ("pole_mass", pole_mass), ("pole_length", pole_length)):
            if not value > 0:
                raise ConfigurationError(f"{name}: given {value}, expected a positive number")
        super().__init__(render_mode=render_mode)
        self.masscart, self.masspole, self.length = cart_mass, pole_mass, pole_length / 2
        self.total_mass, self.polemass_length = cart_mass + pole_mass, pole_mass * pole_length / 2

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a step of CartPole. After a fall, the returned observation is that of the new pose."""
        observation, _, fell, truncated, info = super().step(action)
        if fell:
            self.state = self.np_random.uniform(low=-0.05, high=0.05, size=(4,))
            self.steps_beyond_terminated = None
            observation = np.array(self.state, np.float32)
        return observation, -float(fell), False, truncated, info


def continuing_cartpole_reward(observations: np.ndarray) -> np.ndarray:
    """Return its reward, ``(batch,)``. It does not depend on the action: Euler's method moves by the old velocities."""
    positions, velocities, angles, rates = np.asarray(observations, float).T
    out_of_track = np.abs(positions + TAU * velocities) > MAX_POSITION
    return -(out_of_track | (np.abs(angles + TAU * rates) > MAX_ANGLE)).astype(float)


def changed_cartpole(render_mode: str | None = None) -> ContinuingCartPoleEnv:
    """Make a light cart with a heavy, short pole: the same push moves them ten times as far."""
    return ContinuingCartPoleEnv(cart_mass=0.2, pole_mass=0.3, pole_length=0.6, render_mode=render_mode)
