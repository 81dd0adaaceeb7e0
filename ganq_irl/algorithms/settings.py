"""Settings that all adversarial algorithms share: checked, and brought to one form."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from ganq_irl.errors import ConfigurationError

Schedule = float | Callable[[float], float]
"""A number, or a function of the progress remaining, which falls from 1 to 0 over a run."""


def check_settings(n_updates: float | None, batch_size: int, temperature: float, *, allows_fraction: bool = False) -> None:
    """Raise a ConfigurationError unless counts are counts and the temperature is above 0.

    With ``allows_fraction`` ``n_updates`` may lie between 0 and 1 as well: an update every so many rounds.
    """
    if allows_fraction and isinstance(n_updates, float):
        if not (0 < n_updates < 1 or (n_updates >= 1 and n_updates.is_integer())):
            raise ConfigurationError(
                f"n_updates: given {n_updates!r}, expected a whole number from 1, or a fraction such as 0.5 for one update "
                "every second round"
            )
        n_updates = None
    for name, count in (("n_updates", n_updates), ("batch_size", batch_size)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ConfigurationError(f"{name}: given {count!r}, expected a whole number from 1")
    if not is_number(temperature) or not temperature > 0:
        raise ConfigurationError(f"boltzmann_temperature: given {temperature!r}, expected a number above 0")


def check_rate(name: str, rate: Any) -> None:
    """Raise a ConfigurationError unless ``rate`` is a finite number from 0, or a function of the progress remaining."""
    if not callable(rate) and not (is_number(rate) and 0 <= rate < math.inf):
        raise ConfigurationError(
            f"{name}: given {rate!r}, expected a number from 0, or a function of the progress remaining"
        )


def check_seed(seed: Any) -> None:
    """Raise a ConfigurationError unless ``seed`` is a whole number from 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigurationError(f"seed: given {seed!r}, expected a whole number from 0")


def checked_names(setting: str, names: Any) -> tuple[str, ...]:
    """A list of names as a tuple.

    Raises:
        ConfigurationError: anything else, a single name included.
    """
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{setting}: given {names!r}, expected a list of names, such as ['observations']")
    return tuple(names)


def is_number(value: Any) -> bool:
    """Whether a value is an int or a float, of Python or of numpy."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def updates_due(n_updates: float, n_rounds: int) -> int:
    """Updates in the round that comes after ``n_rounds`` others, so that there are ``n_updates`` a round on average.

    >>> [updates_due(0.5, n_rounds) for n_rounds in range(4)]
    [0, 1, 0, 1]
    """
    return math.floor((n_rounds + 1) * n_updates) - math.floor(n_rounds * n_updates)


def keyword_options(cls: type) -> frozenset[str]:
    """Keywords of a constructor; what it passes on as ``**options`` are those of the class behind it.

    >>> class Base:
    ...     def __init__(self, *, width: int, depth: int = 1): ...
    >>> class Deep(Base):
    ...     def __init__(self, *, depth: int = 9, **options): ...
    >>> sorted(keyword_options(Deep))
    ['depth', 'width']
    """
    names: set[str] = set()
    for ancestor in cls.__mro__:
        if "__init__" in vars(ancestor):
            parameters = inspect.signature(ancestor.__init__).parameters.values()  # type: ignore[misc]  # of a class
            names |= {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
                break
    return frozenset(names - {"self"})


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
