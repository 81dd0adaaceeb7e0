"""GAN-Q's two forms: the one that converges, and the one that was published."""

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
    """What the two forms differ in.

    Attributes:
        critic: class of the discriminator.
        n_basis: its units in x, None where it has none of their own.
        activation: of the critic.
        centers: whether the critic sees samples as distances from the generator's mean, in units of their spread.
        n_steps: steps of reward in a Bellman target.
        n_samples: return samples of each transition.
        average_rate: of the moving average that acts.
        stabilizers: of the critic.
        policy_kwargs: of the policy.
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
        """The critic over a generator's spaces; observations pass as they are, for VecNormalize is there to scale them."""
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
    # Doan, Mazoure & Lyle (2018), algorithm 1: WGAN-GP on one-step targets, noise and x beside the other inputs.
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
    """A mode by its name.

    Raises:
        ConfigurationError: unknown name.
    """
    if name not in MODES:
        raise ConfigurationError(f"unknown mode {name!r}: {nearest(name, MODES)}")
    return MODES[name]
