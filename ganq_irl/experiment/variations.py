"""Settings that a grid varies, as changes to one run's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganq_irl.discriminator.stabilizers import STABILIZERS
from ganq_irl.errors import ConfigurationError, nearest

STABILIZER = "stabilizer"
SURVEY = (
    "freezing",
    "label-smoothing",
    "historical-averaging",
    "minibatch-discrimination",
    "batch-norm",
    "virtual-batch-norm",
    "fake-replay",
    "averaged-discriminator",
    "logit-entropy",
)
"""The rows of Pfau & Vinyals (2016), table 1, that are modules here: GANs' first, then those of actor-critic methods."""

_GROUPS = {
    "none": (),
    # Both normalise by a batch; the virtual one needs no batch-mates.
    "all": tuple(name for name in SURVEY if name != "batch-norm"),
}
_TABLES = ("adversary", "generator_kwargs")  # whose discriminator it is: the imitator's, or the value learner's own critic


@dataclass(frozen=True)
class Choice:
    """One value of a varied setting.

    Attributes:
        key: the setting.
        value: its value, as given.
    """

    key: str
    value: Any

    @property
    def label(self) -> str:
        """How tables name the value."""
        return _plain(self.value)

    @property
    def keeps_default(self) -> bool:
        """Whether it leaves a method as it is, if the method has the setting at all."""
        return self.key == STABILIZER and self.value == "default"

    def alternatives(self) -> list[dict[str, Any]]:
        """Settings that express it, of which a method takes the first that it knows."""
        if self.key != STABILIZER:
            return [_nested(self.key, self.value)]
        names = [] if self.keeps_default else stabilizers_named(self.value)
        return [{table: {"stabilizers": names}} for table in _TABLES]


def stabilizers_named(value: Any) -> list[Any]:
    """``none``, ``all``, a stabiliser's name, several joined by ``+``, or a list as a run's settings hold it.

    Raises:
        ConfigurationError: a name is unknown.
    """
    if not isinstance(value, str):
        return list(value)
    if value in _GROUPS:
        return list(_GROUPS[value])
    names = value.split("+")
    for name in names:
        if name not in STABILIZERS:
            known = STABILIZERS if len(names) > 1 else [*STABILIZERS, *_GROUPS, "default", "survey"]
            raise ConfigurationError(f"{STABILIZER}={value}: unknown stabilizer {name!r}; {nearest(name, known)}")
    return names


def choices(vary: Mapping[str, Sequence[Any]]) -> dict[str, list[Choice]]:
    """The choices of each varied setting; ``stabilizer=survey`` is none, each of the survey's tricks alone, and all."""
    expanded = {key: _expanded(values) if key == STABILIZER else values for key, values in vary.items()}
    return {key: [Choice(key, value) for value in values] for key, values in expanded.items()}


def _expanded(values: Sequence[Any]) -> list[Any]:
    expanded: list[Any] = []
    for value in values:
        expanded += [name for name in (("none", *SURVEY, "all") if value == "survey" else (value,)) if name not in expanded]
    return expanded


def _nested(key: str, value: Any) -> dict[str, Any]:
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(entry)}" for key, entry in value.items()) + "}"
    return "+".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
