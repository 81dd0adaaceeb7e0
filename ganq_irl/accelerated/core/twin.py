"""Base class for algorithms of Stable-Baselines3 that run without autograd where that is exact."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.errors import TrainingDiverged

_log = logging.getLogger(__name__)


class Twin(BaseAlgorithm):
    """An algorithm with the interface and, up to rounding, the results of the SB3 class that comes after it.

    When the model is built and when ``learn`` starts, it decides whether SB3's own code must run.

    Attributes:
        slow_reason: why SB3's own code runs, or None if it does not; changes are logged.
    """

    slow_reason: str | None = None

    @abstractmethod
    def _why_slow(self) -> str | None:
        """Return the first reason why the accelerated code would not be exact, or None."""

    def _setup_model(self) -> None:
        super()._setup_model()  # type: ignore[safe-super]  # SB3's class comes next
        self._choose_path()

    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        self._choose_path()
        return super()._setup_learn(*args, **kwargs)

    def _choose_path(self) -> None:
        before, self.slow_reason = self.slow_reason, self._why_slow()
        if self.slow_reason not in (None, before):
            _log.warning("%s runs Stable-Baselines3's own code here: %s", type(self).__name__, self.slow_reason)

    def _require_finite(self, what: str, is_finite: bool) -> None:
        if not is_finite:
            raise TrainingDiverged(
                f"{what} are no longer finite after {self.num_timesteps} steps; lower the learning rate, or check for "
                "rewards or observations that are too large or not finite"
            )
