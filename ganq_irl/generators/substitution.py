"""Attributes of an SB3 model that are others while SB3's own loop runs, and the user's whenever a callback looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, CallbackList

_ABSENT = object()


class Substituting(CallbackList):
    """Callbacks between which attributes of the model are substituted.

    SB3's loop then collects from another environment, or trains by another method, while every callback sees the model as
    the user made it: ``EvalCallback`` compares its environments layer by layer, and ``save`` writes what a model holds.

    Args:
        callbacks: in the order in which they are called.
        attributes: by name; a method is replaced on this model alone.
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
        """Give the model its own attributes back, if it does not have them."""
        for name, value in self._before.items():
            if value is _ABSENT:
                delattr(self.model, name)
            else:
                setattr(self.model, name, value)
        self._before = {}


@contextmanager
def substituting(callbacks: Sequence[BaseCallback], **attributes: Any) -> Iterator[Substituting]:
    """A callback for one ``learn`` that substitutes attributes of its model; they are restored whatever ends it."""
    callback = Substituting(callbacks, attributes)
    try:
        yield callback
    finally:
        callback.restore()
