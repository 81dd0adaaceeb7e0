"""Adversarial inverse reinforcement learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.algorithms.modes import AIRL_MODES, settled
from ganq_irl.algorithms.settings import Schedule, checked_names, is_number
from ganq_irl.discriminator import STATE_ACTION, InputEncoder, ShapedDiscriminator
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch


class AIRL(AdversarialImitation):
    """Adversarial inverse reinforcement learning (Fu et al., 2018).

    The discriminator's logit is f(s, a, s') - log π(a|s) with f = g(s[, a]) + γ (1 - d) h(s') - h(s); log π is that of the
    generator's present policy on executed actions, for both sides. ``recovered_reward()`` is g.

    The defaults are not the paper's algorithm 1: ``mode="paper"`` is. The paper trains TRPO and rewards entropy
    (``entropy_weight``, or PPO's ``ent_coef``, 0.1 in most of its runs); its discriminator also sees policies of earlier
    rounds, which ``stabilizers=["fake-replay"]`` does here.

    A generator needs a log-probability: PPO, A2C, TRPO and SAC have one, value learners over discrete actions (DQN, QR-DQN)
    get a Boltzmann policy over their Q-values, and deterministic policies (TD3, DDPG) are refused.

    Args:
        generator: an SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        mode: ``default``, or ``paper``: the reward ``logit``, no stabiliser and no normalised values. Settings that are
            given override those of the mode.
        reward: what the generator gets, by default ``f``: ``logit`` f - log π (an entropy bonus in the reward), ``f``,
            ``g``, or ``gail`` log(1 + exp(f - log π)): where a fall ends the episode, f is negative until the policy
            imitates, and the policy learns to fall; ``gail`` is positive and pays for staying.
        loss: name in ``LOSSES``.
        reward_inputs: what g sees; ``("observations",)`` gives the state-only reward that transfers.
        hidden_sizes: widths of g and h.
        activation: between their layers, a name in ``ACTIVATIONS``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``, by default ``spectral-norm``.
        n_updates: discriminator updates a round; by default 8 on-policy (a rollout) and 1 off-policy (a collection). A
            fraction such as 0.5 is one update every second round.
        batch_size: transitions of each side in an update.
        learning_rate: the discriminator's, a number or a function of the progress remaining.
        normalize_values: PopArt on an on-policy generator's value head, on by default: AIRL's reward is not centred, and
            without it the value function starves.
        frozen: never train the discriminator: the control.
        boltzmann_temperature: of a value learner's softmax(Q / temperature).
        entropy_weight: of -log π(a|s) of the executed action, added to what the generator gets. AIRL derives from maximum
            entropy, and trained with almost none it collapses; 1 beside ``f`` is ``logit``, and what lies between them is
            chosen here. It comes on top of the generator's own entropy coefficient, which scales no reward.
        seed: of the discriminator, its batches and its noise; the generator has its own.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "airl"

    def __init__(
        self,
        generator: BaseAlgorithm,
        demonstrations: Any,
        *,
        mode: str = "default",
        reward: str | None = None,
        loss: str = "bce",
        reward_inputs: Sequence[str] = STATE_ACTION,
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
        stabilizers: Sequence[StabilizerSpec] | None = None,
        n_updates: float | None = None,
        batch_size: int = 256,
        learning_rate: Schedule = 1e-3,
        normalize_values: bool | None = None,
        frozen: bool = False,
        boltzmann_temperature: float = 1.0,
        entropy_weight: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not is_number(entropy_weight) or not 0 <= entropy_weight < math.inf:
            raise ConfigurationError(f"entropy_weight: given {entropy_weight!r}, expected a number from 0")
        self.reward_inputs = checked_names("reward_inputs", reward_inputs)
        self.entropy_weight = entropy_weight
        settings = settled(
            AIRL_MODES,
            mode,
            reward=reward,
            stabilizers=stabilizers,
            normalize_values=normalize_values,
        )
        super().__init__(
            generator,
            demonstrations,
            loss=loss,
            hidden_sizes=hidden_sizes,
            activation=activation,
            n_updates=n_updates,
            batch_size=batch_size,
            learning_rate=learning_rate,
            frozen=frozen,
            boltzmann_temperature=boltzmann_temperature,
            seed=seed,
            **settings,
        )

    def _build_discriminator(self, hidden_sizes: tuple[int, ...], activation: str) -> ShapedDiscriminator:
        fields = tuple(dict.fromkeys(("observations", *self.reward_inputs, "next_observations")))
        discount: float = self.generator.gamma  # type: ignore[attr-defined]  # every SB3 algorithm but its base has one
        encoder = InputEncoder(self.generator.observation_space, self.generator.action_space, fields)
        return ShapedDiscriminator(encoder, self.reward_inputs, discount, hidden_sizes, activation)

    def _reward_of(self, batch: Batch) -> Tensor:
        if not self.entropy_weight:
            return super()._reward_of(batch)
        batch = self._with_log_probs(batch)
        assert batch.log_probs is not None
        return super()._reward_of(batch) - self.entropy_weight * batch.log_probs

    @property
    def _recovered_form(self) -> str:
        return "g"
