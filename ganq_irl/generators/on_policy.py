"""On-policy generators: the whole rollout is priced in one batched forward before the policy learns from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.generators.adversary import Adversary
from ganq_irl.generators.internals import progress_remaining
from ganq_irl.generators.recorder import TransitionRecorder
from ganq_irl.generators.values import ValueNormalizer
from ganq_irl.types import Batch


class OnPolicyCallback(BaseCallback):
    """At each rollout's end: train the adversary on it, price it, and compute advantages again.

    Args:
        adversary: the discriminator's side.
        recorder: outermost wrapper of the generator's environment.
        values: PopArt of the value head, or None.
        rng: random state of the fakes' order.
    """

    model: OnPolicyAlgorithm

    def __init__(
        self,
        adversary: Adversary,
        recorder: TransitionRecorder,
        values: ValueNormalizer | None,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.adversary, self.recorder, self.value_normalizer, self.rng = adversary, recorder, values, rng

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
        rollout = self.adversary.add_log_probs(self.recorder.transitions(self.model.device))
        fakes = self.adversary.encode_pool(rollout)

        def sample_fakes(n_batches: int, batch_size: int) -> Iterator[Batch | Encoded]:
            for rows in distinct_rows(len(fakes), n_batches, batch_size, self.rng):
                yield fakes[rows]

        self.adversary.train(sample_fakes, progress_remaining(self.model))
        self._reprice(self.adversary.price(rollout).cpu().numpy())

    def _reprice(self, rewards: np.ndarray) -> None:
        buffer, normalizer = self.model.rollout_buffer, self.value_normalizer
        bootstrap = buffer.rewards  # SB3 added γV(terminal) at time limits to the recorder's zeros
        buffer.rewards = (rewards.reshape(bootstrap.shape) + bootstrap).astype(np.float32)
        buffer.compute_returns_and_advantage(last_values=self.locals["values"], dones=self.locals["dones"])
        if normalizer is not None:
            normalizer.begin_update(buffer.returns)
            buffer.values = normalizer.standardize(buffer.values).astype(np.float32)
            buffer.returns = normalizer.standardize(buffer.returns).astype(np.float32)


def distinct_rows(n_rows: int, n_batches: int, batch_size: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
    """Index tensors of ``batch_size`` rows; no row twice in a batch, nor in an epoch of ``n_rows // batch_size`` batches."""
    per_epoch = n_rows // batch_size
    for batch in range(n_batches):
        position = batch % per_epoch
        if position == 0:
            order = torch.randperm(n_rows, generator=rng, device=rng.device)
        yield order[position * batch_size : (position + 1) * batch_size]
