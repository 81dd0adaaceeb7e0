"""A moving average of a policy, which is more stable than the policy being trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policies.store import StoredPolicy, acting_policy, copy_policy


class PolicyAverage(BaseCallback):
    """Maintain an exponential moving average of a policy's parameters during training.

    An adversary and its generator oscillate around their equilibrium, so that the current policy may be off while the
    average over recent rounds is not (Yazıcı et al., 2019, for the generators of GANs). Training itself is unchanged: pass
    the average as a callback to any SB3 ``learn``, and act with ``acting_policy()``.

    The average is updated at the start of each collection of experience, i.e. once per rollout, or once every ``train_freq``
    off-policy, and at the end of training. It starts as the untrained policy, whose weight after n updates is (1 - rate)^n.

    Args:
        rate: weight of the newest policy, in (0, 1]; with 1, the average is the policy itself.

    Raises:
        ConfigurationError: the rate is out of range.

    Example:
        >>> average = PolicyAverage(0.01)
        >>> model = ppo.learn(64, callback=average)
        >>> action, _ = average.acting_policy().predict(demos[0].observations[0])
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ConfigurationError(f"average_rate: given {rate}; expected a number in (0, 1]")
        self.rate = rate
        self._average: BasePolicy | None = None

    def acting_policy(self, model: BaseAlgorithm | None = None) -> StoredPolicy:
        """Return the average as a policy for raw observations; the current policy if training has not started.

        Args:
            model: the SB3 algorithm; only needed before its ``learn``.
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
        """Return the parameters and buffers of the average."""
        return {} if self._average is None else dict(self._average.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the average."""
        if state:
            self._average = copy_policy(self.model.policy)
            self._average.load_state_dict(state)
