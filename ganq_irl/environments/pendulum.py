"""Pendulum with adjustable mass, length and gravity."""

from __future__ import annotations

from gymnasium.envs.classic_control.pendulum import PendulumEnv

from ganq_irl.errors import ConfigurationError


class VariedPendulumEnv(PendulumEnv):
    """Pendulum-v1 with another mass, length or gravity; observations, actions and rewards are the same.

    Args:
        mass: mass of the pendulum; 1 in Pendulum-v1.
        length: length of the pendulum; 1 in Pendulum-v1.
        gravity: gravity; 10 in Pendulum-v1.
        render_mode: as in Pendulum-v1.

    Raises:
        ConfigurationError: a value is not positive.
    """

    def __init__(
        self, mass: float = 1.0, length: float = 1.0, gravity: float = 10.0, render_mode: str | None = None
    ) -> None:
        for name, value in (("mass", mass), ("length", length), ("gravity", gravity)):
            if not value > 0:
                raise ConfigurationError(f"{name}: given {value}, expected a positive number")
        super().__init__(render_mode=render_mode, g=gravity)
        self.m, self.l = mass, length


def changed_pendulum(render_mode: str | None = None) -> VariedPendulumEnv:
    """Make a lighter, shorter pendulum with weaker gravity, which the same torque swings up faster and overshoots."""
    return VariedPendulumEnv(mass=0.4, length=0.8, gravity=7.0, render_mode=render_mode)
