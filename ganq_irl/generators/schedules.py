"""Schedules of hyperparameters as values: comparable, picklable, and written as TOML tables."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ganq_irl.errors import ConfigurationError


@dataclass(frozen=True)
class LinearSchedule:
    """Linear schedule from ``initial`` at the first step to ``final`` at the last one.

    It is called with SB3's remaining progress, which falls from 1 to 0 over the run.

    >>> LinearSchedule(1e-3, 0.0)(0.5)
    0.0005
    """

    initial: float
    final: float = 0.0

    def __call__(self, progress_remaining: float) -> float:
        """Return the value at ``progress_remaining`` in [0, 1]; it is negative if the last rollout overshoots the total."""
        return self.final + max(progress_remaining, 0.0) * (self.initial - self.final)

    def to_json(self) -> dict[str, float]:
        """Return ``{"initial": ..., "final": ...}``, which ``parse_schedule`` accepts."""
        return asdict(self)


def parse_schedule(value: Any, name: str) -> Any:
    """Convert a number, a table ``{initial = .., final = ..}``, or a callable to a number or schedule for SB3.

    Raises:
        ConfigurationError: an invalid value; the message names the setting ``name``.
    """
    if callable(value):
        return value
    if isinstance(value, dict):
        if "initial" in value and value.keys() <= {"initial", "final"} and all(map(_is_number, value.values())):
            return LinearSchedule(**{key: float(number) for key, number in value.items()})
    elif _is_number(value):
        return float(value)
    raise ConfigurationError(
        f"{name}: given {value!r}; expected a number, or a table {{ initial = 1e-3, final = 0.0 }} for a linear decay"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
