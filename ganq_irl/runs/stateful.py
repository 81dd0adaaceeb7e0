"""Base class of callbacks whose state a checkpoint saves."""

from __future__ import annotations

from typing import Any, ClassVar

from stable_baselines3.common.callbacks import BaseCallback


class StatefulCallback(BaseCallback):
    """Callback that names the attributes that a checkpoint saves.

    Attributes:
        SAVED: attributes; a checkpoint has them without the underscore in front.
    """

    SAVED: ClassVar[tuple[str, ...]] = ()

    def _on_step(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint saves."""
        return {name.lstrip("_"): getattr(self, name) for name in self.SAVED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore ``state_dict``. What an older checkpoint lacks stays as it is."""
        for name in self.SAVED:
            setattr(self, name, state.get(name.lstrip("_"), getattr(self, name)))
