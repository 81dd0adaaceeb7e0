"""Generative adversarial imitation learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.algorithms.modes import GAIL_MODES, settled
from ganq_irl.algorithms.settings import Schedule, checked_names
from ganq_irl.discriminator import STATE_ACTION, BaseDiscriminator, Discriminator, InputEncoder
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError


class GAIL(AdversarialImitation):
    """Generative adversarial imitation learning (Ho & Ermon, 2016).

    Real are the expert's (s, a), fake the policy's; the generator's reward is read from the discriminator's logit.

    The defaults are not the paper's algorithm 1: ``mode="paper"`` is, with TRPO as the generator and a ``batch_size`` of a
    whole rollout. The paper's weight λ of the policy's entropy is PPO's and A2C's ``ent_coef``; TRPO has none.

    Args:
        generator: any SB3 algorithm (PPO, A2C, TRPO, SAC, TD3, DDPG, DQN, QR-DQN) with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        mode: ``default``, or ``paper``: the reward ``gail``, no stabiliser, no normalised values, one update a round, and
            two hidden layers of 100 tanh units. Settings that are given override those of the mode.
        reward: ``gail`` -log(1 - D), ``log-d`` log D, ``logit`` their sum, ``fairl``, or ``score``: see ``REWARD_FORMS``. By
            default ``logit``.
        loss: name in ``LOSSES``.
        inputs: what the score sees, names of transition fields; ``("observations",)`` learns from observations alone.
        hidden_sizes: widths of the discriminator, by default (64, 64).
        activation: between their layers, a name in ``ACTIVATIONS``, by default ``relu``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``, by default ``spectral-norm``.
        n_updates: discriminator updates a round; by default 8 on-policy (a rollout) and 1 off-policy (a collection). A
            fraction such as 0.5 is one update every second round.
        batch_size: transitions of each side in an update.
        learning_rate: the discriminator's, a number or a function of the progress remaining.
        normalize_values: PopArt on an on-policy generator's value head; on by default.
        frozen: never train the discriminator: the control that shows what a random fixed score is worth.
        seed: of the discriminator, its batches and its noise; the generator has its own.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "gail"

    def __init__(
        self,
        generator: BaseAlgorithm,
        demonstrations: Any,
        *,
        mode: str = "default",
        reward: str | None = None,
        loss: str = "bce",
        inputs: Sequence[str] = STATE_ACTION,
        hidden_sizes: Sequence[int] | None = None,
        activation: str | None = None,
        stabilizers: Sequence[StabilizerSpec] | None = None,
        n_updates: float | None = None,
        batch_size: int = 256,
        learning_rate: Schedule = 1e-3,
        normalize_values: bool | None = None,
        frozen: bool = False,
        seed: int = 0,
    ) -> None:
        if mode != "default" and type(self) is not GAIL:
            raise ConfigurationError(
                f"mode: given {mode!r}, but {self.name} has only its own settings; use gail, or leave it out"
            )
        self.inputs = checked_names("inputs", inputs)
        settings = settled(
            GAIL_MODES,
            mode,
            reward=reward,
            hidden_sizes=hidden_sizes,
            activation=activation,
            stabilizers=stabilizers,
            n_updates=n_updates,
            normalize_values=normalize_values,
        )
        super().__init__(
            generator,
            demonstrations,
            loss=loss,
            batch_size=batch_size,
            learning_rate=learning_rate,
            frozen=frozen,
            boltzmann_temperature=1.0,
            seed=seed,
            **settings,
        )

    def _build_discriminator(self, hidden_sizes: tuple[int, ...], activation: str) -> BaseDiscriminator:
        return Discriminator(self._encoder(), hidden_sizes, activation)

    def _encoder(self) -> InputEncoder:
        return InputEncoder(self.generator.observation_space, self.generator.action_space, self.inputs)
