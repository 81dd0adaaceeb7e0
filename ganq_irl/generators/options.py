"""Values of keywords, checked against a constructor's type hints and the ranges that its algorithm allows.

SB3 checks few of its keywords: a negative ``gamma`` trains, and ``gamma="x"`` fails far from where it was given.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from ganq_irl.errors import ConfigurationError

_WIDTHS = ("hidden_sizes", "critic_hidden_sizes")
_WIDEST = 2**16
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
_PLAIN = {kind.__name__: kind for kind in _NAMES}


@dataclass(frozen=True)
class Range:
    """An interval of numbers, ``low`` to ``high``; ``open_low`` leaves ``low`` out."""

    low: float
    high: float = math.inf
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether the number lies in the interval; NaN and infinity lie in none."""
        return math.isfinite(value) and (self.low < value if self.open_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        """The interval in words."""
        if math.isinf(self.high):
            return f"a number above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        return f"a number from {self.low:g} to {self.high:g}"


_COUNT, _FRACTION, _NOT_NEGATIVE, _POSITIVE = Range(1), Range(0, 1), Range(0), Range(0, open_low=True)
RANGES: dict[str, Range] = {
    **dict.fromkeys(("batch_size", "n_steps", "n_epochs", "buffer_size", "target_update_interval"), _COUNT),
    **dict.fromkeys(("policy_delay", "stats_window_size", "n_critic_updates", "cg_max_steps", "n_samples"), _COUNT),
    **dict.fromkeys(("gamma", "tau", "gae_lambda"), _FRACTION),
    **dict.fromkeys(("exploration_fraction", "exploration_initial_eps", "exploration_final_eps"), _FRACTION),
    **dict.fromkeys(("learning_starts", "ent_coef", "vf_coef", "target_policy_noise", "target_noise_clip"), _NOT_NEGATIVE),
    **dict.fromkeys(("learning_rate", "critic_learning_rate", "max_grad_norm"), _NOT_NEGATIVE),
    **dict.fromkeys(("clip_range", "clip_range_vf", "target_kl"), _POSITIVE),
    **dict.fromkeys(("l2_weight", "entropy_weight"), _NOT_NEGATIVE),
    "n_updates": _POSITIVE,
    "sde_sample_freq": Range(-1),
    "gradient_steps": Range(-1),
    "train_freq": _COUNT,
}
"""Keyword -> the numbers that it can be. Names mean the same in every SB3 algorithm."""


def checked_keywords(hints: Mapping[str, Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords, with whole numbers written as 1e5 made integers, if their values fit.

    Numbers, booleans and strings are checked against the type hints, numbers against ``RANGES`` as well, and widths of
    layers; the rest is left alone.

    Args:
        hints: type hints by name, as ``type_hints_of`` gives them.
        keywords: values by name.

    Raises:
        ConfigurationError: a value has the wrong type, or lies outside of its range.
    """
    return {name: _checked(name, value, hints.get(name, Any)) for name, value in keywords.items()}


def type_hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Type hints of a function's keywords; of a class, those of its constructor and of its ancestors'."""
    if not isinstance(function, type):
        return {name: parameter.annotation for name, parameter in inspect.signature(function).parameters.items()}
    hints: dict[str, Any] = {}
    for ancestor in reversed(function.__mro__):
        if "__init__" in vars(ancestor) and ancestor is not object:
            hints |= type_hints_of(vars(ancestor)["__init__"])
    return hints


def check_widths(widths: Any, name: str) -> None:
    """Raise unless these are widths of layers: whole numbers from 1, in lists, or in a table of lists such as pi and vf.

    Raises:
        ConfigurationError: naming the setting.
    """
    if isinstance(widths, Mapping):
        for key, entry in widths.items():
            check_widths(entry, f"{name}.{key}")
        return
    if not isinstance(widths, list | tuple) or not all(_is_whole(width) and 1 <= width <= _WIDEST for width in widths):
        raise ConfigurationError(
            f"{name}: given {widths!r}; expected a list of layer widths from 1 to {_WIDEST}, such as [64, 64]"
        )


def _checked(name: str, value: Any, hint: Any) -> Any:
    if name in _WIDTHS and value is not None:
        check_widths(value, name)
    kinds = _kinds(hint)
    if isinstance(value, bool | int | float | str) and all("Sequence" in str(kind) for kind in kinds):
        raise ConfigurationError(f"{name}: given {value!r}; expected a list")
    plain = [kind for kind in kinds if kind in _NAMES]
    is_scalar = isinstance(value, bool | int | float) or (isinstance(value, str) and len(plain) == len(kinds))
    if plain and is_scalar and not any(_fits(value, kind) for kind in plain):
        expected = " or ".join(_NAMES[kind] for kind in plain)
        raise ConfigurationError(f"{name}: given {value!r}; expected {expected}")
    if int in plain and float not in plain and _is_whole(value):
        value = int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and name in RANGES and value not in RANGES[name]:
        raise ConfigurationError(f"{name}: given {value!r}; expected {RANGES[name]}")
    return value


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Members of a union but None; where annotations are strings, the plain types among them by name."""
    if isinstance(hint, str):
        return tuple(_PLAIN.get(name, name) for name in map(str.strip, hint.split("|")) if name != "None")
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple(member for member in members if member is not type(None))


def _fits(value: Any, kind: Any) -> bool:
    if kind is int:
        return _is_whole(value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value == value // 1
