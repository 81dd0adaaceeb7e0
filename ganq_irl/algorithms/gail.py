"""Generative adversarial imitation learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.algorithms.settings import Schedule
from ganq_irl.discriminator import STATE_ACTION, BaseDiscriminator, Discriminator, InputEncoder
from ganq_irl.discriminator.stabilizers import StabilizerSpec


class GAIL(AdversarialImitation):
    """Generative adversarial imitation learning (Ho & Ermon, 2016, algorithm 1).

    Real are the expert's (s, a), fake the policy's; the generator's reward is read from the discriminator's logit.

    Args:
        generator: any SB3 algorithm (PPO, A2C, TRPO, SAC, TD3, DDPG, DQN, QR-DQN) with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        reward: ``gail`` -log(1 - D), ``log-d`` log D, ``logit`` their difference, ``fairl``, or ``score``: see
            ``REWARD_FORMS``.
        loss: name in ``LOSSES``.
        inputs: what the score sees, names of transition fields; ``("observations",)`` learns from observations alone.
        hidden_sizes: widths of the discriminator.
        activation: between their layers, a name in ``ACTIVATIONS``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``.
        n_updates: discriminator updates a round; by default 8 on-policy (a rollout) and 1 off-policy (a collection). A
            fraction such as 0.5 is one update every second round.
        batch_size: transitions of each side in an update.
        learning_rate: the discriminator's, a number or a function of the progress remaining.
        normalize_values: PopArt on an on-policy generator's value head, whose output is then in standardised returns.
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
        reward: str = "logit",
        loss: str = "bce",
        inputs: Sequence[str] = STATE_ACTION,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
        stabilizers: Sequence[StabilizerSpec] = ("spectral-norm",),
        n_updates: float | None = None,
        batch_size: int = 256,
        learning_rate: Schedule = 1e-3,
        normalize_values: bool = True,
        frozen: bool = False,
        seed: int = 0,
    ) -> None:
        self.inputs = tuple(inputs)
        super().__init__(
            generator,
            demonstrations,
            reward=reward,
            loss=loss,
            hidden_sizes=hidden_sizes,
            activation=activation,
            stabilizers=stabilizers,
            n_updates=n_updates,
            batch_size=batch_size,
            learning_rate=learning_rate,
            normalize_values=normalize_values,
            frozen=frozen,
            boltzmann_temperature=1.0,
            seed=seed,
        )

    def _build_discriminator(self, hidden_sizes: tuple[int, ...], activation: str) -> BaseDiscriminator:
        return Discriminator(self._encoder(), hidden_sizes, activation)

    def _encoder(self) -> InputEncoder:
        return InputEncoder(self.generator.observation_space, self.generator.action_space, self.inputs)
