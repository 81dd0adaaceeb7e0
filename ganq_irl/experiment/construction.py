"""Objects of ours from the tables of the settings."""

from __future__ import annotations

from typing import Any

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.schedules import parse_schedule


def constructed(table: str, cls: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a constructor of ours; a value of the wrong type in a table of the settings is the user's mistake.

    Raises:
        ConfigurationError: naming the table.
    """
    try:
        return cls(*arguments, **keywords)
    except TypeError as error:
        raise ConfigurationError(f"the settings in [{table}] do not fit {cls.__name__}: {error}") from error


def constructor_values(table: dict[str, Any]) -> dict[str, Any]:
    """TOML's lists as the tuples, and its tables of initial and final as the schedules, that constructors take."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for name in ("learning_rate", "actor_learning_rate"):
        if isinstance(values.get(name), dict):
            values[name] = parse_schedule(values[name], name)
    return values
