"""Settings that all adversarial algorithms share: checked, and brought to one form."""

from __future__ import annotations

from collections.abc import Callable

from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from ganq_irl.errors import ConfigurationError

Schedule = float | Callable[[float], float]
"""A number, or a function of the progress remaining, which falls from 1 to 0 over a run."""


def check_settings(n_updates: int | None, batch_size: int, temperature: float) -> None:
    """Raise a ConfigurationError unless counts are counts and the temperature is above 0."""
    for name, count in (("n_updates", n_updates), ("batch_size", batch_size)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ConfigurationError(f"{name}: given {count!r}, expected a whole number from 1")
    if not temperature > 0:
        raise ConfigurationError(f"boltzmann_temperature: given {temperature!r}, expected a number above 0")


def rate_at(schedule: Schedule, progress_remaining: float) -> float:
    """The learning rate when ``progress_remaining`` of the run is left."""
    return schedule(progress_remaining) if callable(schedule) else schedule


def as_callbacks(callback: MaybeCallback) -> list[BaseCallback]:
    """Whatever SB3's ``learn`` takes as a callback, as a list.

    Raises:
        ConfigurationError: given anything else.
    """
    if callback is None:
        return []
    if isinstance(callback, BaseCallback):
        return [callback]
    if isinstance(callback, list):
        return callback
    if callable(callback):
        return [ConvertCallback(callback)]
    raise ConfigurationError(
        f"callback: given a {type(callback).__name__}, expected an SB3 callback, a list of them, or a function"
    )
