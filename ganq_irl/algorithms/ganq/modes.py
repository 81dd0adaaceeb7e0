"""The modes of GAN-Q: the variant that converges, and the published algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gymnasium import spaces

from ganq_irl.discriminator import (
    STATE_ACTION_RETURN,
    BaseDiscriminator,
    Discriminator,
    InputEncoder,
    ReturnDiscriminator,
)
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, nearest


@dataclass(frozen=True)
class Mode:
    """Settings that differ between the modes.

    Attributes:
        critic: class of the critic.
        n_basis: number of the critic's units in x, or None if it has no such units.
        activation: activation of the critic.
        centers: whether the critic sees distances from the return model's mean, in units of their spread.
        n_steps: number of rewards in a Bellman target.
        n_samples: return samples per transition.
        average_rate: rate of the moving average that acts.
        stabilizers: stabilizers of the critic.
        policy_kwargs: keywords of the policy.
    """

    critic: type[ReturnDiscriminator] | type[Discriminator]
    n_basis: int | None
    activation: str
    centers: bool
    n_steps: int
    n_samples: int
    average_rate: float
    stabilizers: tuple[StabilizerSpec, ...]
    policy_kwargs: dict[str, Any] = field(default_factory=dict)

    def build_critic(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        hidden_sizes: Sequence[int],
        n_samples: int,
        n_basis: int | None,
    ) -> BaseDiscriminator:
        """Build the critic for a generator's spaces. Observations are not normalized, which is left to VecNormalize."""
        encoder = InputEncoder(observation_space, action_space, STATE_ACTION_RETURN, n_returns=n_samples, standardizes=False)
        units = {} if n_basis is None else {"n_basis": n_basis}
        return self.critic(encoder, hidden_sizes, self.activation, **units)


MODES: dict[str, Mode] = {
    "default": Mode(
        critic=ReturnDiscriminator,
        n_basis=16,
        activation="leaky-relu",
        centers=True,
        n_steps=10,
        n_samples=4,
        average_rate=0.005,
        stabilizers=({"name": "zero-centered-gradient-penalty", "weight": 0.5},),
    ),
    # Doan, Mazoure & Lyle (2018), algorithm 1: WGAN-GP on one-step targets, with noise and x as ordinary inputs.
    "paper": Mode(
        critic=Discriminator,
        n_basis=None,
        activation="relu",
        centers=False,
        n_steps=1,
        n_samples=1,
        average_rate=1.0,
        stabilizers=({"name": "gradient-penalty", "weight": 10.0},),
        policy_kwargs={"return_model": "concatenated"},
    ),
}


def mode_named(name: str) -> Mode:
    """Return a mode by its name.

    Raises:
        ConfigurationError: unknown name.
    """
    if name not in MODES:
        raise ConfigurationError(f"unknown mode {name!r}: {nearest(name, MODES)}")
    return MODES[name]
