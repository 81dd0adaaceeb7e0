"""Updates of behavioral cloning between rollouts."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.algorithms.sampling import EpochSampler
from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.policies.outputs import policy_log_probs
from ganq_irl.types import Batch

BATCH_SIZE = 256
LEARNING_RATE = 1e-3
ENTROPY_WEIGHT = 1e-3
"""As in ``BC``: without it, the deviation of a Gaussian policy falls to 0 on an expert without noise."""


class CloningUpdates(BaseCallback):
    """Take updates of behavioral cloning before each rollout, so that the policy stays close to the demonstrated actions.

    Jena et al. (2020), "Augmenting GAIL with BC for sample efficient imitation learning", add the two losses. Here, cloning
    takes steps of its own with its own optimizer, between the generator's updates: a rollout is then collected and learned
    from by one policy, and any on-policy algorithm can be the generator.

    Args:
        generator: an on-policy algorithm.
        demonstrations: transitions with actions, on the generator's device.
        n_updates: updates before each rollout.
        seed: seed of the batches.

    Raises:
        UnsupportedGenerator: an off-policy generator.
    """

    model: OnPolicyAlgorithm

    def __init__(self, generator: BaseAlgorithm, demonstrations: Batch, n_updates: int, seed: int) -> None:
        super().__init__()
        if not isinstance(generator, OnPolicyAlgorithm):
            raise UnsupportedGenerator(
                f"bc_updates={n_updates} trains the policy between rollouts, which {type(generator).__name__} does not "
                "collect; use ppo, a2c or trpo, or dac with expert_share=0.5"
            )
        self.demonstrations, self.n_updates = demonstrations, n_updates
        self._rng = torch.Generator(generator.device).manual_seed(seed)
        self._sampler = EpochSampler(len(demonstrations), self._rng)
        self._optimizer = torch.optim.Adam(generator.policy.parameters(), lr=LEARNING_RATE)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.update()

    def add(self, rows: Batch) -> None:
        """Add demonstrations; they are drawn from the next epoch on."""
        self.demonstrations = Batch.cat([self.demonstrations, rows])
        self._sampler.n_rows = len(self.demonstrations)

    def update(self) -> None:
        """Take the updates."""
        loss = torch.zeros(())
        self.model.policy.set_training_mode(True)
        for _ in range(self.n_updates):
            rows = self.demonstrations[self._sampler.draw(BATCH_SIZE)]
            log_probs, entropy = policy_log_probs(self.model, rows)
            loss = -log_probs.mean()
            self._optimizer.zero_grad()
            (loss - ENTROPY_WEIGHT * entropy).backward()
            self._optimizer.step()
        self.model.policy.set_training_mode(False)
        self.logger.record("train/bc_loss", loss.item())

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state and the rest of the current epoch."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "sampler": self._sampler.state_dict(),
            "rng": self._rng.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._sampler.load_state_dict(state["sampler"])
        self._rng.set_state(state["rng"].cpu())
