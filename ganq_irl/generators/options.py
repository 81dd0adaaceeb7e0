"""Options as plain values: check keywords against type hints and ranges, parse schedules, find descriptions in docstrings.

SB3 checks few of its keywords: a negative ``gamma`` is accepted, and ``gamma="x"`` fails far from its cause.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import math
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

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


_WIDTHS = ("hidden_sizes", "critic_hidden_sizes")
_WIDEST = 2**16
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
_PLAIN = {kind.__name__: kind for kind in _NAMES}
_NUMBERS, _BOOLEANS = int | float | np.integer | np.floating, bool | np.bool_


@dataclass(frozen=True)
class Range:
    """An interval from ``low`` to ``high``; ``open_low`` and ``open_high`` exclude an end."""

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Return whether a number lies in the interval; NaN and infinity never do."""
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        """Describe the interval in words."""
        if math.isinf(self.high):
            return f"a number above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        return f"a number from {self.low:g} to {'below ' if self.open_high else ''}{self.high:g}"


_COUNT, _FRACTION, _NOT_NEGATIVE, _POSITIVE = Range(1), Range(0, 1), Range(0), Range(0, open_low=True)
RANGES: dict[str, Range] = {
    **dict.fromkeys(("batch_size", "n_steps", "n_epochs", "buffer_size", "target_update_interval"), _COUNT),
    **dict.fromkeys(("policy_delay", "stats_window_size", "cg_max_steps", "n_samples", "code_size"), _COUNT),
    **dict.fromkeys(("n_critic", "n_critic_updates"), _COUNT),
    **dict.fromkeys(("gamma", "tau", "gae_lambda"), _FRACTION),
    **dict.fromkeys(("exploration_fraction", "exploration_initial_eps", "exploration_final_eps"), _FRACTION),
    **dict.fromkeys(("learning_starts", "ent_coef", "vf_coef", "target_policy_noise", "target_noise_clip"), _NOT_NEGATIVE),
    **dict.fromkeys(("learning_rate", "critic_learning_rate", "actor_learning_rate", "max_grad_norm"), _NOT_NEGATIVE),
    **dict.fromkeys(("clip_range", "clip_range_vf", "target_kl"), _POSITIVE),
    **dict.fromkeys(("l2_weight", "entropy_weight", "capacity", "beta_rate", "seed", "bc_updates"), _NOT_NEGATIVE),
    **dict.fromkeys(("n_updates", "temperature", "boltzmann_temperature", "chi2_alpha"), _POSITIVE),
    **dict.fromkeys(("segment_length", "n_members", "n_queries", "n_sessions", "n_labels"), _COUNT),
    **dict.fromkeys(("n_comparisons", "noise_steps", "n_clone_updates"), _COUNT),
    **dict.fromkeys(("first_share", "mistake_rate", "teacher_mistakes", "noise_margin"), _FRACTION),
    "equal_within": _NOT_NEGATIVE,
    **dict.fromkeys(("expert_share", "task_weight"), Range(0, 1, open_high=True)),
    "sde_sample_freq": Range(-1),
    "gradient_steps": Range(-1),
    "train_freq": _COUNT,
}
"""Keyword -> valid numbers. Names mean the same in all algorithms, SB3's and ours."""
_HINTS = {"train_freq": int | tuple[int, str]}  # the hint in sb3-contrib 2.2 is int, although tuples work


def checked_keywords(hints: Mapping[str, Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Check keywords and return them, with whole numbers such as 1e5 converted to integers.

    Numbers, booleans, strings and lists of strings are checked against the type hints, and numbers also against ``RANGES``.
    Layer widths and schedule tables are checked as well. Other values are not.

    Args:
        hints: type hints by name, see ``type_hints_of``.
        keywords: values by name.

    Raises:
        ConfigurationError: a value has the wrong type or is out of range.
    """
    return {name: _checked(name, value, _HINTS.get(name, hints.get(name, Any))) for name, value in keywords.items()}


def type_hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return type hints of a function's keywords, a dataclass's fields, or the constructors of a class and its bases."""
    if dataclasses.is_dataclass(function):
        hints = get_type_hints(function)
        return {field.name: hints[field.name] for field in dataclasses.fields(function)}
    if not isinstance(function, type):
        return {name: parameter.annotation for name, parameter in inspect.signature(function).parameters.items()}
    hints = {}
    for ancestor in reversed(function.__mro__):
        if "__init__" in vars(ancestor) and ancestor is not object:
            hints |= type_hints_of(vars(ancestor)["__init__"])
    return hints


def meanings_of(documented: Any) -> dict[str, str]:
    """Return a one-line description of each keyword or field: the first sentence about it in a Google-style docstring.

    Args:
        documented: a function or a class; docstrings of base classes are included.
    """
    found: dict[str, str] = {}
    for one in reversed(getattr(documented, "__mro__", (documented,))):
        docstring = inspect.cleandoc(one.__doc__ or "") + "\n"
        for section in re.findall(r"(?:Args|Attributes):\n((?: {4}.*\n|\n)+)", docstring):
            for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE):
                found[name] = re.split(r"(?<=[\w`)\]])\. (?=[A-Z`\d])|\.$", " ".join(text.split()))[0]
    return found


def check_widths(widths: Any, name: str) -> None:
    """Raise unless these are layer widths: integers from 1, in lists, or in a table of lists such as pi and vf.

    Raises:
        ConfigurationError: they are not; the message names the setting.
    """
    if isinstance(widths, Mapping):
        for key, entry in widths.items():
            check_widths(entry, f"{name}.{key}")
        return
    if not isinstance(widths, list | tuple) or not all(_is_whole(width) and 1 <= width <= _WIDEST for width in widths):
        raise ConfigurationError(
            f"{name}: given {widths!r}; expected a list of layer widths from 1 to {_WIDEST}, such as [64, 64]"
        )


def is_schedule(hint: Any) -> bool:
    """Return whether a type hint allows a function, like those of learning rates."""
    return any(get_origin(kind) is collections.abc.Callable for kind in _kinds(hint))


def _checked(name: str, value: Any, hint: Any) -> Any:
    if name in _WIDTHS and value is not None:
        check_widths(value, name)
        return value if isinstance(value, Mapping) else [*map(int, value)]
    kinds = _kinds(hint)
    _check_type(name, value, hint, kinds)
    if int in kinds and float not in kinds and _is_whole(value):
        value = int(value)
    if isinstance(value, _NUMBERS) and not isinstance(value, _BOOLEANS) and name in RANGES and value not in RANGES[name]:
        raise ConfigurationError(f"{name}: given {value!r}; expected {RANGES[name]}")
    return value


def _check_type(name: str, value: Any, hint: Any, kinds: tuple[Any, ...]) -> None:
    lists, plain = [kind for kind in kinds if "Sequence" in str(kind)], [kind for kind in kinds if kind in _NAMES]
    if value is None and ("None" in hint if isinstance(hint, str) else type(None) in get_args(hint)):
        return
    if get_args(hint) == (str,) and lists and not _are_names(value):
        raise ConfigurationError(f"{name}: given {value!r}; expected a list of names, such as ['observations']")
    if len(lists) == len(kinds) and isinstance(value, bool | int | float | str):
        raise ConfigurationError(f"{name}: given {value!r}; expected a list")
    if is_schedule(hint) and (callable(value) or isinstance(value, Mapping)):
        parse_schedule(value, name)
        return
    is_known = bool(plain) and len(plain) + is_schedule(hint) == len(kinds)  # the hint has only types that we can check
    is_scalar = isinstance(value, bool | int | float) or (isinstance(value, str) and len(plain) == len(kinds))
    if plain and (is_scalar or is_known) and not any(_fits(value, kind) for kind in plain):
        expected = " or ".join([*(_NAMES[kind] for kind in plain), *(["a function of the progress"] * is_schedule(hint))])
        raise ConfigurationError(f"{name}: given {value!r}; expected {expected}")


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union except None; for string annotations, the plain types in them, by name."""
    if isinstance(hint, str):
        return tuple(_PLAIN.get(name, name) for name in map(str.strip, hint.split("|")) if name != "None")
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple(member for member in members if member is not type(None))


def _fits(value: Any, kind: Any) -> bool:
    if kind is int:
        return _is_whole(value)
    if kind is float:
        return isinstance(value, _NUMBERS) and not isinstance(value, _BOOLEANS)
    return isinstance(value, _BOOLEANS if kind is bool else kind)


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_whole(value: Any) -> bool:
    return _fits(value, float) and math.isfinite(value) and value == value // 1
