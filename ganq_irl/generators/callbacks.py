"""Callbacks for SB3's ``learn``: replace attributes of the model meanwhile, and stop at observations that are not finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from ganq_irl.episodes import require_finite
from ganq_irl.generators.internals import last_observations

_ABSENT = object()


class Substituting(CallbackList):
    """A callback list that replaces attributes of the model between callbacks.

    SB3's loop then collects from another environment, or trains with another method, but every callback sees the user's
    model: ``EvalCallback`` compares environments wrapper by wrapper, and ``save`` stores what a model holds.

    Args:
        callbacks: callbacks in the order of their calls.
        attributes: replacements by name; methods are replaced on this model only.
    """

    def __init__(self, callbacks: Sequence[BaseCallback], attributes: dict[str, Any]) -> None:
        super().__init__(list(callbacks))
        self._attributes, self._before = attributes, dict[str, Any]()

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self._substitute()

    def _on_rollout_start(self) -> None:
        self.restore()
        super()._on_rollout_start()
        self._substitute()

    def _on_step(self) -> bool:
        self.restore()
        goes_on = super()._on_step()
        self._substitute()
        return goes_on

    def _on_rollout_end(self) -> None:
        self.restore()
        super()._on_rollout_end()
        self._substitute()

    def _on_training_end(self) -> None:
        self.restore()
        super()._on_training_end()

    def _substitute(self) -> None:
        own = vars(self.model)
        self._before = {name: own.get(name, _ABSENT) for name in self._attributes}
        own.update(self._attributes)

    def restore(self) -> None:
        """Restore the model's own attributes, if they are replaced."""
        for name, value in self._before.items():
            if value is _ABSENT:
                delattr(self.model, name)
            else:
                setattr(self.model, name, value)
        self._before = {}


@contextmanager
def substituting(callbacks: Sequence[BaseCallback], **attributes: Any) -> Iterator[Substituting]:
    """Yield a callback for one ``learn`` that replaces attributes of its model; they are restored however it ends."""
    callback = Substituting(callbacks, attributes)
    try:
        yield callback
    finally:
        callback.restore()


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
