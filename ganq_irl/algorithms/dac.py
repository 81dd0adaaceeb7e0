"""Discriminator-actor-critic: adversarial imitation with an off-policy generator."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from ganq_irl.algorithms.absorbing import AbsorbingValue, loops, with_absorbing
from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.algorithms.base import demonstrations_for
from ganq_irl.algorithms.expert_replay import ExpertReplay, MixedReplay
from ganq_irl.algorithms.settings import Schedule, checked_names, is_number
from ganq_irl.discriminator import STATE_ACTION, Discriminator, InputEncoder
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl.generators.adversary import SampleFakes
from ganq_irl.generators.off_policy import relabelled
from ganq_irl.generators.replay_rows import keep_on_device
from ganq_irl.generators.replay_views import ReplayView
from ganq_irl.types import Batch
from ganq_irl_demos import MISSABLE

R1, GRADIENT_PENALTY = {"name": "r1", "weight": 10.0}, {"name": "gradient-penalty", "weight": 10.0}


class DAC(AdversarialImitation):
    """Discriminator-actor-critic (Kostrikov et al., 2019; with ``absorbing`` and TD3, their algorithm 1).

    The generator learns off-policy, from batches that are priced by today's discriminator as they are sampled; the
    discriminator's fakes are drawn from the same replay buffer, without importance weights.

    Where episodes end early, a reward of one sign imitates by itself, and any reward takes an end for worth nothing. With
    ``absorbing`` an end is a step into a state that never ends and whose reward is learned as any other (their section 4.2);
    see ``ganq_irl.algorithms.absorbing``.

    Args:
        generator: an off-policy SB3 algorithm with its environment: SAC, TD3, DDPG, or DQN, QR-DQN and GANQ.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        reward: see ``REWARD_FORMS``; ``fairl`` and ``score`` (with a Wasserstein ``loss``) make FAIRL and WAIL of it.
        loss: name in ``LOSSES``.
        inputs: what the score sees, names of transition fields; without ``actions`` it learns from observations alone.
        hidden_sizes: widths of the discriminator.
        activation: between their layers, a name in ``ACTIVATIONS``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``. By default R1 of weight 10, and with
            ``absorbing`` the paper's gradient penalty of 10 instead: where no demonstration ends, the absorbing state is
            among the fakes alone, where R1 bounds nothing.
        n_updates: discriminator updates after each collection of experience; 0.5 is one after every second.
        batch_size: transitions of each side in an update.
        learning_rate: the discriminator's, a number or a function of the progress remaining.
        absorbing: learn what an episode's end is worth.
        expert_share: share of each of the generator's batches that is drawn from the demonstrations, in [0, 1), priced as
            its own transitions are; half is what Ball et al. (2023) mix of prior data. The critics then know from the first
            update on what is worth most, actions included, whatever ``inputs`` has. 0 is the paper's DAC.
        replay_on_device: keep the replay's observations and actions on the generator's device as well, so that batches are
            gathered there: the same draws and numbers, for as much memory there. On the CPU it gains nothing.
        frozen: never train the discriminator: the control that shows what a random fixed score is worth.
        seed: of the discriminator, its batches and its noise; the generator has its own.

    Raises:
        UnsupportedGenerator: an on-policy generator.
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "dac"

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
        stabilizers: Sequence[StabilizerSpec] | None = None,
        n_updates: float = 1,
        batch_size: int = 64,
        learning_rate: Schedule = 1e-3,
        absorbing: bool = False,
        expert_share: float = 0.0,
        replay_on_device: bool = False,
        frozen: bool = False,
        seed: int = 0,
    ) -> None:
        if not is_number(expert_share) or not 0 <= expert_share < 1:
            raise ConfigurationError(
                f"expert_share: given {expert_share!r}, expected a share of each batch, from 0 to below 1"
            )
        self.inputs = (*checked_names("inputs", inputs), *(["absorbing"] if absorbing else []))
        if stabilizers is None:
            stabilizers = (GRADIENT_PENALTY,) if absorbing else (R1,)
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
            normalize_values=False,
            frozen=frozen,
            boltzmann_temperature=1.0,
            seed=seed,
        )
        assert isinstance(generator, OffPolicyAlgorithm)
        self.absorbing = AbsorbingValue(generator) if absorbing else None
        self._loop = loops(self._demonstrations[:1])
        self.expert_share, self.replay_on_device = expert_share, replay_on_device
        self.expert = self._expert_replay(generator, demonstrations) if expert_share else None

    def _expert_replay(self, generator: OffPolicyAlgorithm, demonstrations: Any) -> ExpertReplay:
        try:
            loaded = demonstrations_for(generator, demonstrations, needs=MISSABLE)
        except InvalidDemonstrations as error:  # what the discriminator reads of them was there
            raise InvalidDemonstrations(
                f"expert_share={self.expert_share} replays whole transitions; give expert_share=0 ({error})"
            ) from error
        if "actions" not in self.inputs:
            warnings.warn(
                f"the discriminator sees no actions, but expert_share={self.expert_share} replays the demonstrated ones; "
                "give expert_share=0 to learn from observations alone",
                stacklevel=3,
            )
        expert = ExpertReplay(generator, loaded, reward=0.0, seed=self.seed)
        expert.buffer = relabelled(expert.buffer, self.price)
        if self.replay_on_device:
            keep_on_device(expert.buffer)
        return expert

    def _view(self, relabelled: ReplayView) -> ReplayView:
        if self.replay_on_device:
            keep_on_device(relabelled)
        return relabelled if self.expert is None else MixedReplay(relabelled, self.expert, self.expert_share)

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        counting = nullcontext() if self.absorbing is None else self.absorbing.while_imitating()
        with counting, super()._installed(callbacks) as callback:
            yield callback

    def _build_discriminator(self, hidden_sizes: tuple[int, ...], activation: str) -> Discriminator:
        encoder = InputEncoder(self.generator.observation_space, self.generator.action_space, self.inputs)
        return Discriminator(encoder, hidden_sizes, activation)

    # Absorbing states: three places where an episode's end is more than an end.

    def drawn_from(self, batch: Batch) -> Batch:
        """The rows as they are: what is learned from the ends among those drawn is decided when they are drawn."""
        return batch

    def _as_learned(self, batch: Batch) -> Batch:
        return batch if self.absorbing is None else with_absorbing(batch)

    def _reward_of(self, batch: Batch) -> Tensor:
        rewards = super()._reward_of(batch)
        return rewards if self.absorbing is None else rewards + self.absorbing.beyond(batch.dones)

    def train(self, sample_fakes: SampleFakes, progress_remaining: float) -> None:
        """One round of discriminator updates; the absorbing state's value then follows the generator's targets."""
        super().train(sample_fakes, progress_remaining)
        if self.absorbing is not None:
            reward = float(super()._reward_of(self._loop))
            self.absorbing.follow(reward)
            self.generator.logger.record("discriminator/absorbing_reward", reward)
            self.generator.logger.record("discriminator/absorbing_value", self.absorbing.value)

    def _state_dict(self) -> dict[str, Any]:
        return {
            **super()._state_dict(),
            "absorbing": self.absorbing and self.absorbing.state_dict(),
            "expert": self.expert and self.expert.state_dict(),
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        super()._load_state_dict(state)
        if self.absorbing is not None:
            self.absorbing.load_state_dict(state["absorbing"])
        if self.expert is not None:
            self.expert.load_state_dict(state["expert"])
