"""On-policy generators: the whole rollout is priced in one batch before the policy learns from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from ganq_irl.generators.internals import progress_remaining
from ganq_irl.generators.on_policy.popart import ValueNormalizer
from ganq_irl.generators.on_policy.recorder import TransitionRecorder
from ganq_irl.types import Batch


class OnPolicyCallback(BaseCallback):
    """At the end of each rollout, train the discriminator on it, replace its rewards, and recompute advantages.

    Args:
        train_and_price: trains on a rollout, given the progress remaining, and returns its rewards, ``(batch,)``.
        recorder: outermost wrapper of the generator's environment.
        values: PopArt for the value head, or None.
    """

    model: OnPolicyAlgorithm

    def __init__(
        self,
        train_and_price: Callable[[Batch, float], Tensor],
        recorder: TransitionRecorder,
        values: ValueNormalizer | None,
    ) -> None:
        super().__init__()
        self.train_and_price, self.recorder, self.value_normalizer = train_and_price, recorder, values

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.recorder.clear()
        self._end_update()

    def _on_training_end(self) -> None:
        self._end_update()

    def _end_update(self) -> None:
        if self.value_normalizer is not None:
            self.value_normalizer.end_update()

    def _on_rollout_end(self) -> None:
        rollout = self.recorder.transitions(self.model.device)
        rewards = self.train_and_price(rollout, progress_remaining(self.model)).cpu().numpy()
        buffer, normalizer = self.model.rollout_buffer, self.value_normalizer
        bootstrap = buffer.rewards  # SB3 added γV(terminal) at time limits to the recorder's weighted rewards
        buffer.rewards = (rewards.reshape(bootstrap.shape) + bootstrap).astype(np.float32)
        buffer.compute_returns_and_advantage(last_values=self.locals["values"], dones=self.locals["dones"])
        if normalizer is not None:
            normalizer.begin_update(buffer.returns)
            buffer.values = normalizer.standardize(buffer.values).astype(np.float32)
            buffer.returns = normalizer.standardize(buffer.returns).astype(np.float32)
