"""Adversarial inverse reinforcement learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from ganq_irl.algorithms.adversarial import AdversarialImitation, AdversarialSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator import STATE_ACTION, InputEncoder, ShapedDiscriminator
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.types import Batch


@dataclass(frozen=True, kw_only=True)
class AIRLSettings(AdversarialSettings):
    """Settings of AIRL.

    Attributes:
        mode: ``default``, or ``paper`` for the defaults of ``PaperAIRLSettings``.
        reward: the generator's reward: ``f``; ``logit`` f - log π, which contains an entropy bonus; ``g``; or ``gail``
            log(1 + exp(f - log π)). ``f`` is negative until the policy imitates well, so in tasks where episodes end at
            failures, the policy learns to fail early. ``gail`` is positive and rewards survival.
        reward_inputs: inputs of g. ``("observations",)`` gives a state-only reward, which transfers between environments.
        hidden_sizes: widths of the hidden layers of g and h.
        normalize_values: whether PopArt normalizes the value head of an on-policy generator. AIRL's reward is not centered,
            and without normalization the value function learns too slowly.
        boltzmann_temperature: temperature of the policy softmax(Q / temperature) of a generator that learns values.
        entropy_weight: weight of -log π(a|s) of the executed action, added to the reward. AIRL is derived from maximum
            entropy, and collapses with almost none. A weight of 1 turns the reward ``f`` into ``logit``. The generator's own
            entropy coefficient comes on top, and does not scale with the reward.
    """

    mode: str = "default"
    reward: str = "f"
    reward_inputs: Sequence[str] = STATE_ACTION
    normalize_values: bool = True
    boltzmann_temperature: float = 1.0
    entropy_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PaperAIRLSettings(AIRLSettings):
    """Settings of algorithm 1 of Fu et al. (2018), with the reward log D - log(1 - D) = f - log π. It fixes no networks."""

    mode: str = "paper"
    reward: str = "logit"
    stabilizers: Sequence[StabilizerSpec] | None = ()
    absorbing: bool = False
    normalize_values: bool = False


class AIRL(AdversarialImitation):
    """Adversarial inverse reinforcement learning (Fu et al., 2018).

    The discriminator's logit is f(s, a, s') - log π(a|s) with f = g(s[, a]) + γ (1 - d) h(s') - h(s). For both sides, log π
    is the log-probability of the executed actions under the generator's current policy. ``recovered_reward()`` is g.

    The defaults differ from the paper's algorithm 1, which is ``mode="paper"``. The paper trains TRPO and rewards entropy
    (``entropy_weight``, or PPO's ``ent_coef``, 0.1 in most of its runs). Its discriminator is also trained on policies of
    earlier rounds, which is ``stabilizers=["fake-replay"]`` here.

    The generator needs log-probabilities. PPO, A2C, TRPO and SAC have them, and value learners over discrete actions (DQN,
    QR-DQN) use a Boltzmann policy over their Q-values. Deterministic policies (TD3, DDPG) are refused.

    Args:
        generator: an SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``AIRLSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> airl = AIRL(ppo, demos, reward_inputs=("observations",)).learn(256)
        >>> airl.recovered_reward().form.name
        'g'
    """

    name = "airl"
    modes: ClassVar = {"default": AIRLSettings, "paper": PaperAIRLSettings}
    settings: AIRLSettings

    @takes_settings(AIRLSettings)
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
