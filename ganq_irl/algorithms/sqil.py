"""Soft Q imitation learning: constant rewards, and half of each batch demonstrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from ganq_irl.algorithms.expert_replay import MixedReplay
from ganq_irl.algorithms.off_policy_imitation import OffPolicyImitation
from ganq_irl.algorithms.settings import Settings, takes_settings
from ganq_irl.generators.off_policy.replay import replaying

EXPERT_REWARD, EXPERT_SHARE = 1.0, 0.5


@dataclass(frozen=True, kw_only=True)
class SQILSettings(Settings):
    """Settings of SQIL.

    Attributes:
        seed: seed for sampling demonstrations; the generator has a seed of its own.
    """


class SQIL(OffPolicyImitation):
    """Soft Q imitation learning (Reddy, Dragan & Levine, 2020, algorithm 1).

    Half of each of the generator's batches is demonstrated, with reward 1. The other half is its own, with reward 0. This is
    an incentive to return to demonstrated states. No reward is learned. Nothing else changes, so any off-policy algorithm
    can be used. The paper's algorithm is soft, like SAC but unlike DQN.

    Since the reward is never negative, it favors long episodes. In tasks with early termination, this alone may explain a
    score.

    imitation's SQIL is not used here. With Stable-Baselines3 2.7 and later, its buffer fails at the first batch (samples
    gained a field that may be None). With any version, it mixes unscaled demonstrated actions with the generator's scaled
    ones, stores time limits as terminations, and supports neither Dict observations nor n-step returns.

    Args:
        generator: SB3's SAC, TD3, DDPG or DQN, QR-DQN, GANQ or ContinuousGANQ, with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``SQILSettings``.

    Raises:
        GanqIrlError: generator, environment and demonstrations do not work together.

    Example:
        >>> sqil = SQIL(dqn, demos).learn(64)
        >>> sqil.expert_reward
        1.0
    """

    name = "sqil"
    modes: ClassVar = {"default": SQILSettings}
    expert_reward = EXPERT_REWARD

    @takes_settings(SQILSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: SQILSettings) -> None:
        self._build(generator, demonstrations, settings)

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        assert self.generator.replay_buffer is not None
        with replaying(self.generator, _Unrewarded(self.generator.replay_buffer, self.expert, EXPERT_SHARE)):
            yield CallbackList(list(callbacks))


class _Unrewarded(MixedReplay):
    """Mixed replay whose own half has reward 0, whatever is stored."""

    def _own(self, batch_size: int, env: Any) -> Any:
        own = super()._own(batch_size, env)
        return own._replace(rewards=torch.zeros_like(own.rewards))
