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

from ganq_irl.algorithms.absorbing import AbsorbingValue, absorbing_transitions, with_absorbing
from ganq_irl.algorithms.adversarial import AdversarialImitation, AdversarialSettings
from ganq_irl.algorithms.base import demonstrations_for
from ganq_irl.algorithms.expert_replay import ExpertReplay, MixedReplay
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator import STATE_ACTION, Discriminator, InputEncoder
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl.generators.internals import has_target_networks
from ganq_irl.generators.off_policy.pricing import relabeled
from ganq_irl.generators.off_policy.replay import ReplayView, keep_on_device
from ganq_irl.types import Batch
from ganq_irl_demos import OPTIONAL_FIELDS

R1, GRADIENT_PENALTY = {"name": "r1", "weight": 10.0}, {"name": "gradient-penalty", "weight": 10.0}


@dataclass(frozen=True, kw_only=True)
class DACSettings(AdversarialSettings):
    """Settings of DAC.

    Attributes:
        reward: the generator's reward, a name in ``REWARD_FORMS``. ``fairl``, and ``score`` with a Wasserstein ``loss``,
            give off-policy variants of FAIRL and WAIL.
        inputs: inputs of the discriminator, names of transition fields. Without ``actions``, it learns from observations
            only.
        stabilizers: list of names in ``STABILIZERS``, or of tables ``{"name": ..., setting: value}``. The default is R1 with
            weight 10. With ``learns_absorbing``, it is the paper's gradient penalty with weight 10: if no demonstration
            ends, only fakes contain the absorbing state, where R1 does not constrain the score.
        n_updates: discriminator updates after each collection of experience. 0.5 is one update after every second one.
        learns_absorbing: learn the reward of the absorbing state with the discriminator, as in the paper, instead of
            counting it (``absorbing``).
        expert_share: share of each of the generator's batches that is sampled from the demonstrations, in [0, 1). They get
            rewards like its own transitions, and show the critics good actions from the first update on, whether or not
            ``inputs`` includes actions. Ball et al. (2023) mix in one half of prior data. 0 is the paper's DAC.
        replay_on_device: also keep the replay's observations and actions on the generator's device, and gather batches
            there. The results are the same. It takes as much memory there, and is not faster on a CPU.
    """

    inputs: Sequence[str] = STATE_ACTION
    stabilizers: Sequence[StabilizerSpec] | None = None
    n_updates: float | None = 1
    batch_size: int = 64
    learns_absorbing: bool = False
    expert_share: float = 0.0
    replay_on_device: bool = False


class DAC(AdversarialImitation):
    """Discriminator-actor-critic (Kostrikov et al., 2019), adversarial imitation with an off-policy generator.

    The current discriminator computes the rewards of each batch of the generator when it is sampled. The discriminator's
    fakes are sampled from the same replay buffer, without importance weights. With ``learns_absorbing`` and TD3, this is the
    paper's algorithm 1.

    An end is a step into a state that never ends (section 4.2 of the paper). Its reward is counted by default
    (``absorbing``, see ``ganq_irl.algorithms.ends``), or learned like any other (``learns_absorbing``, see
    ``ganq_irl.algorithms.absorbing``). Its value follows the generator's target networks.

    Args:
        generator: an off-policy SB3 algorithm with its environment: SAC, TD3, DDPG, DQN, QR-DQN or GANQ.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``DACSettings``.

    Raises:
        UnsupportedGenerator: an on-policy generator.
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> dac = DAC(sac, "pendulum", expert_share=0.5).learn(64)
        >>> dac.recovered_reward().action_space
        Box(-2.0, 2.0, (1,), float32)
    """

    name = "dac"
    modes: ClassVar = {"default": DACSettings}
    settings: DACSettings

    @takes_settings(DACSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: DACSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: DACSettings) -> None:  # type: ignore[override]
        super()._build(generator, demonstrations, settings)
        assert isinstance(generator, OffPolicyAlgorithm)
        if settings.learns_absorbing:
            self.ends = None
        follows = settings.learns_absorbing or (self.ends is not None and has_target_networks(generator))
        self.absorbing = AbsorbingValue(generator) if follows else None
        self._loop = absorbing_transitions(self._demonstrations[:1])
        self.expert = self._expert_replay(generator, demonstrations) if settings.expert_share else None

    def _stabilizers(self) -> Sequence[StabilizerSpec]:
        if self.settings.stabilizers is None:
            return (GRADIENT_PENALTY,) if self.settings.learns_absorbing else (R1,)
        return self.settings.stabilizers

    def _expert_replay(self, generator: OffPolicyAlgorithm, demonstrations: Any) -> ExpertReplay:
        if self.settings.task_weight:
            raise ConfigurationError(
                f"expert_share={self.settings.expert_share} replays demonstrations without the environment's rewards, which "
                "task_weight needs; set one of them to 0"
            )
        try:
            loaded = demonstrations_for(generator, demonstrations, needs=OPTIONAL_FIELDS)
        except InvalidDemonstrations as error:  # the fields that the discriminator needs were present
            raise InvalidDemonstrations(
                f"expert_share={self.settings.expert_share} replays complete transitions; use expert_share=0 ({error})"
            ) from error
        if "actions" not in self.settings.inputs:
            warnings.warn(
                f"the discriminator's inputs have no actions, but expert_share={self.settings.expert_share} replays the "
                "demonstrated ones; use expert_share=0 to learn from observations only",
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
        inputs = (*self.settings.inputs, *(["absorbing"] if self.settings.learns_absorbing else []))
        encoder = InputEncoder(self.generator.observation_space, self.generator.action_space, inputs)
        return Discriminator(encoder, self.settings.hidden_sizes, self.settings.activation)

    @property
    def values_ends(self) -> bool:
        """Whether a terminal transition is paid what the end of an episode is worth, counted or learned."""
        return self.ends is not None or self.absorbing is not None

    # Absorbing states: the three places where an episode's end needs special treatment.

    def _pool(self, batch: Batch) -> Batch:
        """Return the rows unchanged; absorbing transitions are added after sampling."""
        return batch

    def _as_learned(self, batch: Batch) -> Batch:
        return with_absorbing(batch) if self.settings.learns_absorbing else batch

    def _end_bonus(self, dones: Tensor) -> Tensor | float:
        return super()._end_bonus(dones) if self.absorbing is None else self.absorbing.terminal_bonus(dones)

    def train(self, fakes: Iterator[Batch | Encoded], progress_remaining: float) -> None:
        """Run a round of discriminator updates, then update the absorbing state's value with the generator's targets."""
        super().train(fakes, progress_remaining)
        if self.absorbing is not None:
            reward = float(self._reward_of(self._loop)) if self.ends is None else self.ends.reward
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
