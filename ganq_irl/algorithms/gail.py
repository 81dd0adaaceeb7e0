"""Generative adversarial imitation learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.adversarial import AdversarialImitation, AdversarialSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator import STATE_ACTION, BaseDiscriminator, Discriminator, InputEncoder
from ganq_irl.discriminator.stabilizers import StabilizerSpec


@dataclass(frozen=True, kw_only=True)
class GAILSettings(AdversarialSettings):
    """Settings of GAIL.

    Attributes:
        mode: ``default``, or ``paper`` for the defaults of ``PaperGAILSettings``.
        reward: the generator's reward: ``gail`` -log(1 - D), ``log-d`` log D, ``logit`` their sum, ``fairl``, or ``score``.
            See ``REWARD_FORMS``.
        inputs: inputs of the discriminator, names of transition fields. ``("observations",)`` learns from observations only.
        normalize_values: whether PopArt normalizes the value head of an on-policy generator.
    """

    mode: str = "default"
    inputs: Sequence[str] = STATE_ACTION
    normalize_values: bool = True


@dataclass(frozen=True, kw_only=True)
class PaperGAILSettings(GAILSettings):
    """Settings of algorithm 1 of Ho & Ermon (2016), with one plain step of logistic regression per round.

    The paper's cost is the log of its D, which is 1 - D here, so that the reward is -log(1 - D). Two hidden layers of 100
    tanh units are taken from its experiments.
    """

    mode: str = "paper"
    reward: str = "gail"
    hidden_sizes: Sequence[int] = (100, 100)
    activation: str = "tanh"
    stabilizers: Sequence[StabilizerSpec] | None = ()
    n_updates: float | None = 1
    absorbing: bool = False
    normalize_values: bool = False


class GAIL(AdversarialImitation):
    """Generative adversarial imitation learning (Ho & Ermon, 2016).

    The discriminator learns to distinguish the expert's (s, a) from the policy's. The generator's reward is a function of
    the discriminator's logit.

    The defaults are more stable with few demonstrations than the paper's algorithm 1, which is ``mode="paper"`` with TRPO as
    the generator and a whole rollout as ``batch_size``. The paper's weight λ of the policy's entropy is the ``ent_coef`` of
    PPO and A2C; TRPO has none.

    Args:
        generator: any SB3 algorithm (PPO, A2C, TRPO, SAC, TD3, DDPG, DQN, QR-DQN) with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``GAILSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> gail = GAIL(ppo, demos, reward="gail").learn(256)
        >>> action, _ = gail.predict(demos[0].observations[0])
        >>> reward = gail.recovered_reward()
    """

    name = "gail"
    modes: ClassVar = {"default": GAILSettings, "paper": PaperGAILSettings}
    settings: GAILSettings

    @takes_settings(GAILSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: GAILSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build_discriminator(self) -> BaseDiscriminator:
        return Discriminator(self._encoder(), self.settings.hidden_sizes, self.settings.activation)

    def _encoder(self) -> InputEncoder:
        return InputEncoder(self.generator.observation_space, self.generator.action_space, self.settings.inputs)
