"""Variations of a grid: each value of a varied setting as a change to a run's settings."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.discriminator import LOSSES
from ganq_irl.discriminator.stabilizers import STABILIZERS
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.generators.factory import generator_class
from ganq_irl.runs.config import ExperimentConfig, nested

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
"""The rows of the table in Pfau & Vinyals (2016) that are stabilizers here: those of GANs, then of actor-critic methods."""

_GROUPS = {
    "none": (),
    # without batch-norm, since virtual batch normalization is there and does not depend on the rest of the batch
    "all": tuple(name for name in SURVEY if name != "batch-norm"),
}
_TABLES = ("adversary", "generator_kwargs")  # of the discriminator of an imitation algorithm, and of GAN-Q's critic


@dataclass(frozen=True)
class Choice:
    """One value of a varied setting.

    Attributes:
        key: the setting.
        value: its value, as given.
        of_survey: whether it comes from ``stabilizer=survey``; a method that cannot use it then skips it.
    """

    key: str
    value: Any
    of_survey: bool = False

    @property
    def label(self) -> str:
        """The value as tables show it."""
        return _plain(self.value)

    @property
    def keeps_default(self) -> bool:
        """Return whether it is ``stabilizer=default``, which changes nothing."""
        return self.key == STABILIZER and self.value == "default"

    def alternatives(self) -> list[dict[str, Any]]:
        """Return settings that express it; a method uses the first that it accepts."""
        if self.key != STABILIZER:
            return [nested(self.key, self.value)]
        names = [] if self.keeps_default else parse_stabilizers(self.value)
        return [{table: {"stabilizers": names}} for table in _TABLES]


def parse_stabilizers(value: Any) -> list[Any]:
    """Parse ``none``, ``all``, a stabilizer's name, several joined by ``+``, or a list as in a run's settings.

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
    """Return the choices of each setting; ``stabilizer=survey`` becomes none, each stabilizer of the survey, and all."""
    return {key: _expanded(key, values) for key, values in vary.items()}


def _expanded(key: str, values: Sequence[Any]) -> list[Choice]:
    found: list[Choice] = []
    for value in values:
        is_survey = key == STABILIZER and value == "survey"
        names = ("none", *SURVEY, "all") if is_survey else (value,)
        found += [Choice(key, name, is_survey) for name in names if all(name != choice.value for choice in found)]
    return found


def fitted(config: ExperimentConfig, chosen: Sequence[Choice]) -> ExperimentConfig | None:
    """Return a cell's settings without stabilizers that the loss does not support, or None if nothing would be left.

    A loss without log-ratios, such as GAN-Q's, does not support stabilizers that read them. ``all`` then means all others,
    and the method skips that row of the survey. A stabilizer that was requested by name is kept, so that the run reports it.
    """
    table = "adversary" if config.algo in ALGORITHMS else "generator_kwargs"
    settings = getattr(config, table)
    stabilizers = settings.get("stabilizers", [])
    kept = [spec for spec in stabilizers if not _reads_log_ratio(spec) or _has_log_ratio(config.algo, settings)]
    varied = [choice for choice in chosen if choice.key == STABILIZER]
    if len(kept) == len(stabilizers) or not varied:
        return config
    if varied[0].value == "all":
        return dataclasses.replace(config, **{table: {**settings, "stabilizers": kept}})  # type: ignore[arg-type]
    return None if varied[0].of_survey else config


def _reads_log_ratio(spec: Any) -> bool:
    name = spec.get("name") if isinstance(spec, Mapping) else spec
    return name in STABILIZERS and STABILIZERS[name].needs_log_ratio


def _has_log_ratio(algo: str, settings: Mapping[str, Any]) -> bool:
    constructor = ALGORITHMS.get(algo) or generator_class(algo)
    default = inspect.signature(constructor).parameters.get("loss")
    loss = settings.get("loss", default.default if default is not None else None)
    return loss not in LOSSES or LOSSES[loss].has_log_ratio


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(entry)}" for key, entry in value.items()) + "}"
    return "+".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
