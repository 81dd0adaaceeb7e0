"""The cells of a grid: each is one run, with its settings and its folder."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.config import ExperimentConfig, merged
from ganq_irl.runs.resolve import on_true_reward, resolve_config
from ganq_irl.runs.validation import task_weight
from ganq_irl.space_matrix import IMITATION, WITHOUT_DEMONSTRATIONS
from ganq_irl.studies.methods import (
    ANSWERS,
    ANSWERS_BY_REWARD,
    BOTH,
    CORRECTIONS,
    DEMONSTRATIONS_ONLY,
    TRUE_REWARD,
    Method,
    parse_method,
)
from ganq_irl.studies.spec import GridConfig
from ganq_irl.studies.variations import Choice, choices, fitted

CELLS = "cells"
EVALUATIONS = 20
"""Default number of evaluations during each run."""


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        method: the method.
        env: Gymnasium id.
        n_demos: number of demonstrations; None for a method without demonstrations.
        varied: varied setting -> its value as a label.
        seed: seed of the run.
        config: the resolved settings; ``reward``, if set, is relative to the grid's folder.
        source: the cell whose recovered reward it learns from, which must finish first; None for most.
    """

    method: Method
    env: str
    n_demos: int | None
    varied: Mapping[str, str]
    seed: int
    config: ExperimentConfig
    source: Cell | None = None

    @property
    def variation(self) -> str:
        """The varied settings as one label; "" if nothing varies."""
        return ", ".join(f"{key}={value}" for key, value in self.varied.items())

    @property
    def family(self) -> tuple[str, str, int | None, str]:
        """What it has in common with the runs that differ from it by their seed alone."""
        return self.env, self.method.name, self.n_demos, self.variation

    @property
    def path(self) -> Path:
        """Its run directory, relative to the grid's folder."""
        parts = [
            slug(self.method.name),
            f"n{self.n_demos}" if self.n_demos is not None else "",
            slug(self.variation) if self.variation else "",
        ]
        return Path(CELLS) / slug(self.env) / "-".join(filter(None, parts)) / f"seed{self.seed}"

    @property
    def protocol(self) -> str:
        """What it sees, one of ``PROTOCOLS``."""
        if self.method.protocol == ANSWERS_BY_REWARD:
            return ANSWERS_BY_REWARD if self.config.imitation.get("teacher", TRUE_REWARD) == TRUE_REWARD else ANSWERS
        return BOTH if self.method.imitates and task_weight(self.config) else self.method.protocol

    @property
    def label(self) -> str:
        """Its name in messages."""
        demos = f", {self.n_demos} demonstrations" if self.n_demos is not None else ""
        variation = f", {self.variation}" if self.variation else ""
        return f"{self.method.name} on {self.env}{demos}{variation}, seed {self.seed}"


def make_cells(grid: GridConfig) -> list[Cell]:
    """Return the cells of a grid, seed by seed, so that an unfinished grid covers every method.

    A method without the varied setting runs once, unchanged. A method without demonstrations runs once for all numbers of
    demonstrations.

    Raises:
        ConfigurationError: a setting is unknown, or contradicts another.
        IncompatibleSpaces: a method cannot act in an environment.
    """
    made = [cell for env in grid.env for name in grid.algos for cell in _first_seed(grid, parse_method(name), env)]
    for key in grid.vary:
        if not any(key in cell.varied for cell in made):
            _explain_unused(grid, key)
    seeded = [replace(one, seed=seed, config=replace(one.config, seed=seed)) for seed in grid.seeds for one in made]
    cells = _sourced(seeded)
    assert len({cell.path for cell in cells}) == len(cells)
    return cells


def _sourced(cells: list[Cell]) -> list[Cell]:
    """Set the source of each cell that learns from another's reward: the one with the same variation, else with none."""
    index = {(cell.method.name, cell.env, cell.n_demos, cell.seed, cell.variation): cell for cell in cells}
    found = []
    for cell in cells:
        if cell.method.source is not None:
            keys = [(cell.method.source, cell.env, cell.n_demos, cell.seed, label) for label in (cell.variation, "")]
            source = next((index[key] for key in keys if key in index), None)
            if source is None:
                raise ConfigurationError(
                    f"{cell.label}: no run of {cell.method.source} is varied as this one is; vary both, or none of them"
                )
            cell = replace(cell, source=source, config=replace(cell.config, reward=source.path.as_posix()))
        found.append(cell)
    return found


def _first_seed(grid: GridConfig, method: Method, env: str) -> list[Cell]:
    cells = []
    for n_demos in grid.n_demos if method.protocol in (DEMONSTRATIONS_ONLY, CORRECTIONS) else (None,):
        base = _base_settings(grid, method, env, n_demos)
        _resolved(base, method)  # report errors of the base settings without a variation
        varied = [axis for axis in choices(grid.vary).values() if any(_fits(base, choice) for choice in axis)]
        for chosen in itertools.product(*varied):
            settings = base
            for choice in chosen:
                settings = _with_choice(settings, choice)
            config = fitted(_resolved(settings, method), chosen)
            if config is not None:
                labels = {choice.key: choice.label for choice in chosen}
                cells.append(Cell(method, env, n_demos, labels, grid.seeds[0], config))
    return cells


def _base_settings(grid: GridConfig, method: Method, env: str, n_demos: int | None) -> dict[str, Any]:
    settings = merged({"device": "cpu"}, grid.shared)
    for name in dict.fromkeys(
        (replace(method, control=None).name, method.name)
    ):  # a control shares the settings of its method
        settings = merged(settings, grid.methods.get(name, {}))
    timesteps = settings.pop("timesteps", None)
    if isinstance(timesteps, Mapping):  # by environment; where it is not listed, the preset decides
        timesteps = timesteps.get(env)
    if not method.counts_steps:
        settings = merged(settings, {"evaluation": {"every": 0}})
    elif timesteps is not None:
        settings["timesteps"] = timesteps
    if method.algo in IMITATION and method.algo not in WITHOUT_DEMONSTRATIONS:
        settings |= {"demos": demonstrations_for(env, settings.get("demos")), "n_trajectories": n_demos}
    else:
        settings.pop("demos", None)
    return merged(settings, {**method.settings(), "env": env, "seed": grid.seeds[0]})


def _resolved(settings: Mapping[str, Any], method: Method) -> ExperimentConfig:
    try:
        config = resolve_config(settings)
        if method.control == TRUE_REWARD:
            config = on_true_reward(config)
    except ConfigurationError as error:
        raise ConfigurationError(f"{method.name}: {error}") from error
    if not method.counts_steps or "every" in settings.get("evaluation", {}):
        return config
    assert config.timesteps is not None
    every = max(1, config.timesteps // EVALUATIONS)
    return replace(config, evaluation=replace(config.evaluation, every=every))


def _fits(base: dict[str, Any], choice: Choice) -> bool:
    """Return whether a method has the setting and accepts the value."""
    return any(_refusal(merged(base, alternative)) is None for alternative in choice.alternatives())


def _with_choice(base: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """Return the settings with a choice in the first form that the method accepts, else in the last."""
    candidates = [merged(base, alternative) for alternative in choice.alternatives()]
    chosen = next((settings for settings in candidates if _refusal(settings) is None), candidates[-1])
    return base if choice.keeps_default else chosen


def _refusal(settings: Mapping[str, Any]) -> ConfigurationError | None:
    try:
        resolve_config(settings)
    except ConfigurationError as error:
        return error
    return None


def _explain_unused(grid: GridConfig, key: str) -> None:
    """Raise an error about a setting that no method accepts, with the reason of the first method."""
    method, env = parse_method(grid.algos[0]), grid.env[0]
    base = _base_settings(grid, method, env, grid.n_demos[0] if method.imitates else None)
    refusal = _refusal(_with_choice(base, choices(grid.vary)[key][0]))
    raise ConfigurationError(f"vary.{key}: no method of this grid takes it ({refusal})")


def demonstrations_for(env: str, demos: Any = None) -> str:
    """Return the demonstrations of an environment: the given ones, else the shipped ones.

    Args:
        env: Gymnasium id.
        demos: a name or file, a table from environments to names or files, or None.

    Raises:
        ConfigurationError: no demonstrations are given or shipped.
    """
    from ganq_irl_demos.catalog import catalog, same_environment

    if isinstance(demos, str):
        return demos
    if isinstance(demos, Mapping) and env in demos:
        return str(demos[env])
    for name, entry in catalog().items():
        if any(same_environment(env, known) for known in entry.env_ids):
            return name
    raise ConfigurationError(
        f"no demonstrations are shipped for {env}; give them in the configuration: [demos] and below it "
        f'"{env}" = "FILE.npz", or compare methods that need none'
    )


def slug(text: str) -> str:
    """Return a folder name for a text; a checksum is appended if the text is long or characters were merged.

    >>> slug("gail:frozen"), slug("CartPole-v1")
    ('gail-frozen', 'CartPole-v1')
    """
    plain = re.sub(r"[^A-Za-z0-9@+=._-]+", "-", text)
    if len(plain) == len(text) <= 60:
        return plain
    return f"{plain[:50]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
