"""The request of a grid: its axes, and the settings that its runs share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.runs.config import ExperimentConfig, without_none
from ganq_irl.runs.resolve import gather_settings, toml_value
from ganq_irl.studies.methods import parse_method

GRID_FILE = "grid.toml"
DEFAULT_DEMOS, DEFAULT_SEEDS = (10,), 5
MAX_SEEDS = 10_000

_AXES = ("algos", "env", "n_demos", "seeds", "vary", "methods")
_BY_ENV = ("demos", "timesteps")  # may be tables from environment to a value
_SET_BY_AXES = {"algo", "env", "seed", "n_trajectories", "reward"}
_SHARED = {field.name for field in dataclasses.fields(ExperimentConfig)} - _SET_BY_AXES


@dataclass(frozen=True)
class GridConfig:
    """A grid: every method in every environment, with every number of demonstrations, variation and seed.

    Attributes:
        algos: methods, see ``parse_method``.
        env: Gymnasium ids.
        n_demos: numbers of demonstrations, for methods that imitate.
        seeds: seeds of networks, environments and the draw of demonstrations.
        vary: setting -> its values. A setting is a dotted key of a run's settings, or ``stabilizer``.
        methods: name of a method -> its settings; those of ``gail`` also apply to its control ``gail:frozen``.
        shared: settings of every run, with the keys of ``ganq-irl train``. ``demos`` and ``timesteps`` may be tables by
            environment; they default to the shipped demonstrations and the preset's steps.
    """

    algos: tuple[str, ...]
    env: tuple[str, ...]
    n_demos: tuple[int, ...] = DEFAULT_DEMOS
    seeds: tuple[int, ...] = tuple(range(DEFAULT_SEEDS))
    vary: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    shared: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_toml(self) -> str:
        """Return the request as TOML, which ``parse_grid`` reads."""
        axes = {name: getattr(self, name) for name in _AXES}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in axes.items() if value}
        plain |= {"vary": {key: list(values) for key, values in self.vary.items()}} if self.vary else {}
        return tomli_w.dumps(without_none({**plain, **self.shared}))


def resolve_grid(flags: Mapping[str, Any], *, assignments: Iterable[str] = (), file: Path | str | None = None) -> GridConfig:
    """Combine the sources of a request: flags over ``--set`` over file.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value is not valid for its key.
    """
    return parse_grid(gather_settings(flags, assignments, file))


def parse_grid(settings: Mapping[str, Any]) -> GridConfig:
    """Parse a request and check its form; ``make_cells`` checks the settings of the runs.

    Raises:
        ConfigurationError: as ``resolve_grid``.
    """
    for key in settings:
        if key not in _AXES and key not in _SHARED:
            raise ConfigurationError(f"unknown setting {key!r} of a grid; {nearest(key, {*_AXES, *_SHARED})}")
    for key in _BY_ENV:
        if isinstance(settings.get(key), Mapping):
            for env in settings[key]:
                check_env(env)  # a misspelt id would be ignored
    algos = tuple(parse_method(name).name for name in _strings(settings, "algos", "--algos gan-q,dqn"))
    for source in (parse_method(name).source for name in algos):
        if source is not None and source not in algos:
            raise ConfigurationError(f"algos: a method learns from the reward of {source}, which is not among them; add it")
    methods = settings.get("methods", {})
    if not isinstance(methods, Mapping) or not all(isinstance(table, Mapping) for table in methods.values()):
        raise ConfigurationError(f"methods: given {methods!r}; expected a table for each method, such as [methods.gail]")
    for name in methods:
        parse_method(name)  # it need not be part of this grid, but must exist
    return GridConfig(
        algos=algos,
        env=_strings(settings, "env", "--env CartPole-v1"),
        n_demos=_counts(settings.get("n_demos", list(DEFAULT_DEMOS)), "n_demos", at_least=1),
        seeds=_seeds(settings.get("seeds", DEFAULT_SEEDS)),
        vary=_variations(settings.get("vary", {})),
        methods={name: dict(table) for name, table in methods.items()},
        shared={key: value for key, value in settings.items() if key not in _AXES},
    )


def parse_variation(text: str) -> dict[str, list[Any]]:
    """Parse ``KEY=A,B`` into a setting and its values; values that are not TOML are strings.

    >>> parse_variation("generator_kwargs.gamma=0.9,0.99")
    {'generator_kwargs.gamma': [0.9, 0.99]}

    Raises:
        ConfigurationError: there is no ``=``, or a value is missing.
    """
    key, separator, values = text.partition("=")
    if not separator or not key.strip() or not values.strip():
        raise ConfigurationError(
            f"--vary {text!r}: expected key=value,value, such as stabilizer=none,all", page="how_to/compare"
        )
    if values.strip().startswith("["):
        return {key.strip(): list(toml_value(values.strip()))}
    return {key.strip(): [toml_value(value.strip()) for value in values.split(",")]}


def _strings(settings: Mapping[str, Any], key: str, example: str) -> tuple[str, ...]:
    value = settings.get(key)
    values = [value] if isinstance(value, str) else value
    if not values or not isinstance(values, list | tuple) or not all(isinstance(entry, str) for entry in values):
        raise ConfigurationError(f"{key}: given {value!r}; expected one name or more, such as {example}")
    return _distinct(values, key)


def _counts(value: Any, key: str, at_least: int) -> tuple[int, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(n, int) and not isinstance(n, bool) and n >= at_least for n in values):
        raise ConfigurationError(f"{key}: given {value!r}; expected whole numbers from {at_least} on")
    return _distinct(values, key)


def _seeds(value: Any) -> tuple[int, ...]:
    """Parse a number of seeds, which become 0, 1, ..., or a list of seeds."""
    if isinstance(value, list | tuple):
        return _counts(value, "seeds", at_least=0)
    count = _counts(value, "seeds", at_least=1)[0]
    if count > MAX_SEEDS:
        raise ConfigurationError(f"seeds: given {count}; expected at most {MAX_SEEDS}")
    return tuple(range(count))


def _variations(value: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(value, Mapping) or not all(isinstance(values, list) and values for values in value.values()):
        raise ConfigurationError(
            f'vary: given {value!r}; expected a list of values for each setting, such as "adversary.n_updates" = [4, 8]'
        )
    return {key: _distinct(values, f"vary.{key}") for key, values in value.items()}


def _distinct(values: Iterable[Any], key: str) -> tuple[Any, ...]:
    values = tuple(values)
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ConfigurationError(f"{key}: {value!r} is given twice")
    return values
