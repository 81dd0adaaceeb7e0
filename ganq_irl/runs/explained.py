"""All settings of a run as text: TOML that repeats the run, with a description of each setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import tomli_w

from ganq_irl.algorithms import BC
from ganq_irl.generators.options import meanings_of
from ganq_irl.runs.config import EvaluationConfig, ExperimentConfig
from ganq_irl.runs.validation import DEFAULT_UPDATES, settings_of, table_hints, table_of
from ganq_irl.space_matrix import IMITATION


def explained_settings(config: ExperimentConfig) -> str:
    """Return the settings as TOML, one line each, with descriptions as comments, including the algorithm's defaults.

    Settings without a value are comments.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    tables: dict[str, dict[str, Any]] = {name: value for name, value in values.items() if isinstance(value, dict) and value}
    meanings = {"evaluation": meanings_of(EvaluationConfig)}
    if config.algo in IMITATION:
        table = table_of(config.algo)
        tables[table], meanings[table] = _of_algorithm(config.algo, tables.get(table, {}))
    tables["evaluation"] = dataclasses.asdict(config.evaluation)
    plain = {name: value for name, value in values.items() if not isinstance(value, dict | EvaluationConfig)}
    sections = [_lines(plain | {"preset": "none"}, meanings_of(ExperimentConfig))]
    sections += [[f"[{name}]", *_lines(table, meanings.get(name, {}))] for name, table in tables.items()]
    return "\n\n".join("\n".join(section) for section in sections)


def _of_algorithm(algo: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return values and descriptions of an imitation algorithm's settings."""
    settings = settings_of(algo, given)
    defaults = {"n_updates": DEFAULT_UPDATES} | vars(settings)
    values = {name: given.get(name, defaults[name]) for name in table_hints(algo)}
    return values, meanings_of(BC.train) | meanings_of(type(settings))


def _lines(values: Mapping[str, Any], meanings: Mapping[str, str]) -> list[str]:
    """Return one line per setting, with aligned descriptions."""
    texts = {
        name: f"# {name} =" if value is None else f"{_key(name)} = {inline_toml(value)}" for name, value in values.items()
    }
    width = min(40, max(map(len, texts.values()), default=0))
    told = {name: meanings.get(name, "").replace("``", "") for name in texts}
    return [f"{text:{width}}  # {told[name]}" if told[name] else text for name, text in texts.items()]


def inline_toml(value: Any) -> str:
    """Format a value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {inline_toml(entry)}" for name, entry in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline_toml, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()


def _key(name: str) -> str:
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")
