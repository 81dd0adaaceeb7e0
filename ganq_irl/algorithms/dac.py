"""Discriminator-actor-critic: adversarial imitation with an off-policy generator."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from ganq_irl.algorithms.absorbing import AbsorbingValue, loops, with_absorbing
from ganq_irl.algorithms.adversarial import AdversarialImitation, AdversarialSettings
from ganq_irl.algorithms.base import demonstrations_for
from ganq_irl.algorithms.expert_replay import ExpertReplay, MixedReplay
from ganq_irl.algorithms.settings import takes
from ganq_irl.discriminator import STATE_ACTION, Discriminator, InputEncoder
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import InvalidDemonstrations
from ganq_irl.generators.off_policy import relabeled
from ganq_irl.generators.replay_rows import keep_on_device
from ganq_irl.generators.replay_views import ReplayView
from ganq_irl.types import Batch
from ganq_irl_demos import OPTIONAL_FIELDS

R1, GRADIENT_PENALTY = {"name": "r1", "weight": 10.0}, {"name": "gradient-penalty", "weight": 10.0}


@dataclass(frozen=True, kw_only=True)
class DACSettings(AdversarialSettings):
    """Settings of DAC.

    Attributes:
        reward: what the generator is paid, a name in ``REWARD_FORMS``. ``fairl``, and ``score`` with a Wasserstein ``loss``,
            make an off-policy FAIRL and WAIL.
        inputs: what the score sees, names of transition fields. Without ``actions`` it learns from observations alone.
        stabilizers: list of names in ``STABILIZERS``, or of tables ``{"name": ..., setting: value}``. The default is R1 of
            weight 10. With ``absorbing`` it is the paper's gradient penalty of weight 10 instead: where no demonstration
            ends, only fakes hold the absorbing state, and R1 bounds nothing there.
        n_updates: discriminator updates after each collection of experience. 0.5 is one update after every second.
        absorbing: learn what an episode's end is worth.
        expert_share: share of each of the generator's batches that is drawn from the demonstrations, in [0, 1). They get
            rewards as its own transitions do, and teach the critics what is worth most from the first update on, actions
            included, whatever ``inputs`` has. Ball et al. (2023) mix in one half of prior data. 0 is the paper's DAC.
        replay_on_device: keep the replay's observations and actions on the generator's device as well, and gather batches
            there. The numbers are the same. It takes as much memory there, and gains nothing on the CPU.
    """

    inputs: Sequence[str] = STATE_ACTION
    stabilizers: Sequence[StabilizerSpec] | None = None
    n_updates: float | None = 1
    batch_size: int = 64
    absorbing: bool = False
    expert_share: float = 0.0
    replay_on_device: bool = False


class DAC(AdversarialImitation):
    """Discriminator-actor-critic (Kostrikov et al., 2019), adversarial imitation with an off-policy generator.

    Today's discriminator gives each batch of the generator its rewards when the batch is sampled. The discriminator's fakes
    are drawn from the same replay buffer, without importance weights. With ``absorbing`` and TD3 this is the paper's
    algorithm 1.

    Where episodes end early, a reward of one sign imitates by itself, and every reward takes an end to be worth nothing.
    With ``absorbing``, an end is a step into a state that never ends, whose reward is learned as any other (the paper's
    section 4.2); see ``ganq_irl.algorithms.absorbing``.

    Args:
        generator: an off-policy SB3 algorithm with its environment: SAC, TD3, DDPG, DQN, QR-DQN or GANQ.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``DACSettings``.

    Raises:
        UnsupportedGenerator: an on-policy generator.
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.

    Example:
        >>> DAC(SAC("MlpPolicy", "Pendulum-v1"), "pendulum", expert_share=0.5).learn(20_000)  # doctest: +SKIP
    """

    name = "dac"
    modes: ClassVar = {"default": DACSettings}
    settings: DACSettings

    @takes(DACSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: DACSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: DACSettings) -> None:  # type: ignore[override]
        super()._build(generator, demonstrations, settings)
        assert isinstance(generator, OffPolicyAlgorithm)
        self.absorbing = AbsorbingValue(generator) if settings.absorbing else None
        self._loop = loops(self._demonstrations[:1])
        self.expert = self._expert_replay(generator, demonstrations) if settings.expert_share else None

    def _stabilizers(self) -> Sequence[StabilizerSpec]:
        if self.settings.stabilizers is None:
            return (GRADIENT_PENALTY,) if self.settings.absorbing else (R1,)
        return self.settings.stabilizers

    def _expert_replay(self, generator: OffPolicyAlgorithm, demonstrations: Any) -> ExpertReplay:
        try:
            loaded = demonstrations_for(generator, demonstrations, needs=OPTIONAL_FIELDS)
        except InvalidDemonstrations as error:  # what the discriminator reads of them was there
            raise InvalidDemonstrations(
                f"expert_share={self.settings.expert_share} replays whole transitions; give expert_share=0 ({error})"
            ) from error
        if "actions" not in self.settings.inputs:
            warnings.warn(
                f"the discriminator sees no actions, but expert_share={self.settings.expert_share} replays the demonstrated "
                "ones; give expert_share=0 to learn from observations alone",
                stacklevel=4,
            )
        expert = ExpertReplay(generator, loaded, reward=0.0, seed=self.settings.seed)
        expert.buffer = relabeled(expert.buffer, self.price)
        if self.settings.replay_on_device:
            keep_on_device(expert.buffer)
        return expert

    def _view(self, relabeled: ReplayView) -> ReplayView:
        if self.settings.replay_on_device:
            keep_on_device(relabeled)
        return relabeled if self.expert is None else MixedReplay(relabeled, self.expert, self.settings.expert_share)

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        counting = nullcontext() if self.absorbing is None else self.absorbing.while_imitating()
        with counting, super()._installed(callbacks) as callback:
            yield callback

    def _build_discriminator(self) -> Discriminator:
        inputs = (*self.settings.inputs, *(["absorbing"] if self.settings.absorbing else []))
        encoder = InputEncoder(self.generator.observation_space, self.generator.action_space, inputs)
        return Discriminator(encoder, self.settings.hidden_sizes, self.settings.activation)

    # Absorbing states: three places where an episode's end is more than an end.

    def _pool(self, batch: Batch) -> Batch:
        """The rows as they are: what is learned from the ends among those drawn is decided when they are drawn."""
        return batch

    def _as_learned(self, batch: Batch) -> Batch:
        return batch if self.absorbing is None else with_absorbing(batch)

    def _reward_of(self, batch: Batch) -> Tensor:
        rewards = super()._reward_of(batch)
        return rewards if self.absorbing is None else rewards + self.absorbing.terminal_bonus(batch.dones)

    def train(self, fakes: Iterator[Batch | Encoded], progress_remaining: float) -> None:
        """One round of discriminator updates; the absorbing state's value then follows the generator's targets."""
        super().train(fakes, progress_remaining)
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
