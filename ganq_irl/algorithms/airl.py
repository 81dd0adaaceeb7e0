"""Adversarial inverse reinforcement learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from ganq_irl.algorithms.adversarial import AdversarialImitation, AdversarialSettings
from ganq_irl.algorithms.settings import takes
from ganq_irl.discriminator import STATE_ACTION, InputEncoder, ShapedDiscriminator
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.types import Batch


@dataclass(frozen=True, kw_only=True)
class AIRLSettings(AdversarialSettings):
    """Settings of AIRL.

    Attributes:
        mode: ``default``, or ``paper`` for the defaults of ``PaperAIRLSettings``.
        reward: what the generator is paid: ``f``; ``logit`` f - log π, which has an entropy bonus in it; ``g``; or ``gail``
            log(1 + exp(f - log π)). Where an early end of the episode is a failure, f is negative until the policy imitates,
            so that the policy learns to fail early. ``gail`` is positive and pays for staying.
        reward_inputs: what g sees. ``("observations",)`` gives the state-only reward, which transfers.
        hidden_sizes: widths of the hidden layers of g and of h.
        normalize_values: whether PopArt normalizes the value head of an on-policy generator. AIRL's reward is not centered,
            and without this the value function learns too slowly.
        boltzmann_temperature: temperature of the policy softmax(Q / temperature) of a generator that learns values.
        entropy_weight: weight of -log π(a|s) of the executed action, added to the reward. AIRL derives from maximum
            entropy, and trained with almost none it collapses. A weight of 1 turns the reward ``f`` into ``logit``. It comes
            on top of the generator's own entropy coefficient, which scales no reward.
    """

    mode: str = "default"
    reward: str = "f"
    reward_inputs: Sequence[str] = STATE_ACTION
    normalize_values: bool = True
    boltzmann_temperature: float = 1.0
    entropy_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PaperAIRLSettings(AIRLSettings):
    """Settings of algorithm 1 of Fu et al. (2018), whose reward is log D - log(1 - D) = f - log π. It fixes no networks."""

    mode: str = "paper"
    reward: str = "logit"
    stabilizers: Sequence[StabilizerSpec] | None = ()
    normalize_values: bool = False


class AIRL(AdversarialImitation):
    """Adversarial inverse reinforcement learning (Fu et al., 2018).

    The discriminator's logit is f(s, a, s') - log π(a|s) with f = g(s[, a]) + γ (1 - d) h(s') - h(s). The log π is that of
    the generator's present policy on executed actions, for both sides. ``recovered_reward()`` is g.

    The defaults are not the paper's algorithm 1, which is ``mode="paper"``. The paper trains TRPO and rewards entropy
    (``entropy_weight``, or PPO's ``ent_coef``, 0.1 in most of its runs). Its discriminator also sees policies of earlier
    rounds, which is ``stabilizers=["fake-replay"]`` here.

    A generator needs a log-probability. PPO, A2C, TRPO and SAC have one, value learners over discrete actions (DQN, QR-DQN)
    get a Boltzmann policy over their Q-values, and deterministic policies (TD3, DDPG) are refused.

    Args:
        generator: an SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``AIRLSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "airl"
    modes: ClassVar = {"default": AIRLSettings, "paper": PaperAIRLSettings}
    settings: AIRLSettings

    @takes(AIRLSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: AIRLSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build_discriminator(self) -> ShapedDiscriminator:
        settings = self.settings
        fields = tuple(dict.fromkeys(("observations", *settings.reward_inputs, "next_observations")))
        discount: float = self.generator.gamma  # type: ignore[attr-defined]  # every SB3 algorithm but its base has one
        encoder = InputEncoder(self.generator.observation_space, self.generator.action_space, fields)
        return ShapedDiscriminator(encoder, settings.reward_inputs, discount, settings.hidden_sizes, settings.activation)

    def _temperature(self) -> float:
        return self.settings.boltzmann_temperature

    def _reward_of(self, batch: Batch) -> Tensor:
        if not self.settings.entropy_weight:
            return super()._reward_of(batch)
        batch = self._with_log_probs(batch)
        assert batch.log_probs is not None
        return super()._reward_of(batch) - self.settings.entropy_weight * batch.log_probs

    @property
    def _recovered_form(self) -> str:
        return "g"
