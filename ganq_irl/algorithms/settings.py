"""Settings of the imitation algorithms: frozen dataclasses that check their values."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from gymnasium import Space
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.options import checked_keywords, is_schedule, meanings_of, parse_schedule, type_hints_of

Schedule = float | Callable[[float], float]
"""A number, or a function of the remaining progress, which falls from 1 to 0 over a run."""

Keywords = ParamSpec("Keywords")
GivenSettings = TypeVar("GivenSettings", bound="Settings", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class for the settings of an imitation algorithm.

    Every value is checked against its type hint and its range. Lists become tuples, and a table such as
    ``{"initial": 1e-3, "final": 0.0}`` becomes a schedule.

    Attributes:
        seed: seed of the algorithm's own random draws; the generator has a seed of its own.

    Raises:
        ConfigurationError: a value has the wrong type or is out of range.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if getattr(self, "mode", None) != getattr(type(self), "mode", None):
            raise ConfigurationError(f"mode: given {self.mode!r}; {type(self).__name__} are those of {type(self).mode!r}")  # type: ignore[attr-defined]
        hints = type_hints_of(type(self))
        for name, value in checked_keywords(hints, vars(self)).items():
            object.__setattr__(self, name, _frozen(value, name, hints[name]))


class _TakesSettings(Protocol[Keywords, GivenSettings]):
    """Type of the decorator: constructors of algorithms with a generator, and of those that only need spaces."""

    @overload
    def __call__(
        self, constructor: Callable[[Any, BaseAlgorithm, Any, GivenSettings], None]
    ) -> Callable[Concatenate[Any, BaseAlgorithm, Any, Keywords], None]: ...
    @overload
    def __call__(
        self, constructor: Callable[[Any, Space, Space, Any, GivenSettings], None]
    ) -> Callable[Concatenate[Any, Space, Space, Any, Keywords], None]: ...


def takes_settings(settings: Callable[Keywords, GivenSettings]) -> _TakesSettings[Keywords, GivenSettings]:
    """Decorate a constructor whose last argument is ``settings``, so that the fields of the settings become its keywords.

    Type checkers, editors and ``help`` show these keywords.
    """

    def decorate(constructor: Callable[..., None]) -> Any:
        own = list(inspect.signature(constructor).parameters.values())[:-1]

        @functools.wraps(constructor)
        def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: N807  # replaces the constructor
            named = {parameter.name: keywords.pop(parameter.name) for parameter in own if parameter.name in keywords}
            constructor(self, *arguments, **named, settings=type(self).settings_from(keywords))

        return _documented(__init__, own, settings)

    return decorate


def _documented(constructor: Any, own: list[inspect.Parameter], settings: Any) -> Any:
    """Give a constructor the signature and documentation of its settings, for ``help``."""
    constructor.__signature__ = inspect.Signature([*own, *inspect.signature(settings).parameters.values()])
    meanings = meanings_of(settings)
    lines = [f"    {name}: {meanings.get(name, '')}." for name in type_hints_of(settings)]
    constructor.__doc__ = "\n".join(["Create the algorithm with these settings.", "", "Args:", *lines])
    return constructor


def _frozen(value: Any, name: str, hint: Any) -> Any:
    if isinstance(value, Mapping) and is_schedule(hint):
        return parse_schedule(value, name)
    return tuple(value) if isinstance(value, list) else value


def updates_due(n_updates: float, n_rounds: int) -> int:
    """Return the number of updates in round ``n_rounds`` (from 0), for an average of ``n_updates`` per round.

    >>> [updates_due(0.5, n_rounds) for n_rounds in range(4)]
    [0, 1, 0, 1]
    """
    return math.floor((n_rounds + 1) * n_updates) - math.floor(n_rounds * n_updates)


def rate_at(schedule: Schedule, progress_remaining: float) -> float:
    """Return the learning rate at the given remaining progress."""
    return schedule(progress_remaining) if callable(schedule) else schedule


def as_callbacks(callback: MaybeCallback) -> list[BaseCallback]:
    """Convert any callback argument of SB3's ``learn`` to a list.

    Raises:
        ConfigurationError: an invalid callback.
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
