"""Stop training at the first observation that is not finite, before it reaches a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.episodes import require_finite
from ganq_irl.generators.internals import last_observations


class FiniteObservations(BaseCallback):
    """Check every observation of the environment, including the final ones of episodes.

    Raises:
        EnvironmentFailed: an observation contains NaN or infinity.
    """

    def _on_training_start(self) -> None:
        self._look_at(last_observations(self.model))

    def _on_step(self) -> bool:
        self._look_at(self.locals["new_obs"])
        for index in np.flatnonzero(self.locals["dones"]):
            self._look_at(self.locals["infos"][index].get("terminal_observation"))
        return True

    def _look_at(self, observations: Any) -> None:
        if observations is None or not _may_fail(observations):
            return
        spec = self.training_env.get_attr("spec")[0]
        require_finite(observations, "the environment" if spec is None else spec.id, f"at step {self.num_timesteps}")


def _may_fail(observations: Any) -> bool:
    """Return whether a number is not finite: a fast check that does not need the environment's name."""
    parts = observations.values() if isinstance(observations, Mapping) else [observations]
    arrays = [np.asarray(part) for part in parts]
    return any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays)
