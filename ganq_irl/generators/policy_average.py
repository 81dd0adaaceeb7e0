"""A moving average of a policy, which acts more steadily than the policy that is being trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policy_store import StoredPolicy, acting_policy, copy_policy


class PolicyAverage(BaseCallback):
    """Keep the exponential moving average of a policy's parameters while it learns.

    An adversary and its generator circle around their equilibrium, and the policy of one moment may be off it while the
    average over the last rounds is not (Yazıcı et al., 2019, for the generators of GANs). Training itself is not
    touched: give it to any SB3 ``learn`` as a callback, and act with ``acting_policy()``.

    The average moves where a collection of experience begins, so once a rollout or, off-policy, once every ``train_freq``,
    and when training ends. It starts as the untrained policy, of which (1 - rate)^n is left after n.

    Args:
        rate: weight of the newest policy, above 0 and at most 1, which is the policy itself.

    Raises:
        ConfigurationError: the rate is none.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ConfigurationError(f"average_rate: given {rate}; expected a number in (0, 1]")
        self.rate = rate
        self._average: BasePolicy | None = None

    def acting_policy(self, model: BaseAlgorithm | None = None) -> StoredPolicy:
        """The average as it acts on raw observations; the policy itself where no training has begun.

        Args:
            model: the SB3 algorithm; needed before its ``learn`` alone.
        """
        current = acting_policy(model or self.model)
        return current if self._average is None else replace(current, policy=self._average)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._move()

    def _on_training_end(self) -> None:
        self._move()

    @torch.no_grad()
    def _move(self) -> None:
        policy = self.model.policy
        if self._average is None:
            self._average = copy_policy(policy)
            return
        move = get_ema_multi_avg_fn(1 - self.rate)
        move(list(self._average.parameters()), list(policy.parameters()), None)
        for average, current in zip(self._average.buffers(), policy.buffers(), strict=True):
            average.copy_(current)

    def state_dict(self) -> dict[str, Any]:
        """The average's parameters and buffers."""
        return {} if self._average is None else dict(self._average.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        if state:
            self._average = copy_policy(self.model.policy)
            self._average.load_state_dict(state)
