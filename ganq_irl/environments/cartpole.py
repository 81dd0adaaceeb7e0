"""CartPole that goes on after a fall, with masses to choose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from ganq_irl.errors import ConfigurationError

TAU = 0.02
"""Seconds of a step, as in CartPole-v1; so are the limits."""
MAX_POSITION, MAX_ANGLE = 2.4, math.radians(12)


class ContinuingCartPoleEnv(CartPoleEnv):
    """CartPole in which a fall, or a cart that runs out of its track, restarts the pose instead of ending the episode.

    Observations, actions and dynamics are CartPole-v1's. The reward is -1 on the step that falls, else 0, so the return of
    an episode is minus the number of falls, and 0 the best there is. A survival bonus, which a constant or random
    discriminator gives and which alone solves CartPole-v1, explains no score here.

    Args:
        cart_mass: CartPole-v1's is 1.
        pole_mass: CartPole-v1's is 0.1.
        pole_length: CartPole-v1's is 1.
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
        """One step of CartPole; on a fall, the returned observation is already the restarted pose."""
        observation, _, fell, truncated, info = super().step(action)
        if fell:
            self.state = self.np_random.uniform(low=-0.05, high=0.05, size=(4,))
            self.steps_beyond_terminated = None
            observation = np.array(self.state, np.float32)
        return observation, -float(fell), False, truncated, info


def continuing_cartpole_reward(observations: np.ndarray) -> np.ndarray:
    """Its reward, ``(batch,)``: Euler's step moves position and angle by their velocities, whatever is done."""
    positions, velocities, angles, rates = np.asarray(observations, float).T
    out_of_track = np.abs(positions + TAU * velocities) > MAX_POSITION
    return -(out_of_track | (np.abs(angles + TAU * rates) > MAX_ANGLE)).astype(float)


def changed_cartpole(render_mode: str | None = None) -> ContinuingCartPoleEnv:
    """A light cart under a heavy, short pole: the same push moves them ten times as much."""
    return ContinuingCartPoleEnv(cart_mass=0.2, pole_mass=0.3, pole_length=0.6, render_mode=render_mode)
