"""Soft Q imitation learning: constant rewards, half of each batch demonstrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.algorithms.expert_replay import ExpertReplay, joined
from ganq_irl.algorithms.off_policy_imitation import OffPolicyImitation
from ganq_irl.generators.n_step import NStepReplayBuffer

EXPERT_REWARD = 1.0


class SQIL(OffPolicyImitation):
    """Soft Q imitation learning (Reddy, Dragan & Levine, 2020, algorithm 1).

    The generator learns from batches of which one half is demonstrated, with the reward 1, and the other its own, with the
    reward 0: an incentive to return to demonstrated states, without any reward being learned. Nothing else changes, so that
    any off-policy algorithm serves; the paper's is soft, as SAC is and DQN is not.

    A reward that is never negative pays for long episodes: where they can end early, that alone may explain a score.

    imitation has an SQIL, whose buffer is not used here: with Stable-Baselines3 2.7 and later it fails at its first batch
    (samples gained a field that may be None); on any version it keeps demonstrated actions unscaled beside the generator's
    scaled ones, stores time limits as terminations, and takes neither Dict observations nor n-step returns.

    Args:
        generator: SB3's SAC, TD3, DDPG or DQN, QR-DQN, GANQ or ContinuousGANQ, with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        seed: of the draws from the demonstrations; the generator has its own.

    Raises:
        GanqIrlError: generator, environment and demonstrations that cannot work together.
    """

    name = "sqil"

    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, *, seed: int = 0) -> None:
        super().__init__(generator, demonstrations, expert_reward=EXPERT_REWARD, seed=seed)

    @contextmanager
    def _installed(self) -> Iterator[list[BaseCallback]]:
        buffer: Any = self.generator.replay_buffer
        plain, like = type(buffer), type(self.expert.buffer)
        buffer.__class__, buffer.expert = type(like.__name__, (_HalfExpert, like), {}), self.expert
        try:
            yield []
        finally:
            buffer.__class__ = plain
            del buffer.expert


class _HalfExpert(ReplayBuffer):
    """Half of each batch is drawn from the demonstrations, and the other has the reward 0 whatever is stored."""

    expert: ExpertReplay

    def sample(self, batch_size: int, env: Any = None) -> Any:
        """SB3's samples, the generator's own first; of an odd number it has one more."""
        n_expert = batch_size // 2
        if isinstance(self, NStepReplayBuffer):
            self.expert.buffer.n_steps = self.n_steps  # GAN-Q's may follow a schedule
        own: Any = super().sample(batch_size - n_expert, env=env)
        return joined(own._replace(rewards=torch.zeros_like(own.rewards)), self.expert.draw(n_expert, env))

    def __reduce__(self) -> tuple[Any, ...]:
        """In a checkpoint in the middle of a run it is the plain buffer that it is afterwards."""
        state = {key: value for key, value in self.__dict__.items() if key not in ("expert", "price")}
        return object.__new__, (type(self.expert.buffer),), state
