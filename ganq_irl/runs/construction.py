"""Objects of ours from the tables of the settings."""

from __future__ import annotations

from typing import Any

from ganq_irl.algorithms.settings import keyword_options
from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.schedules import parse_schedule


def constructed(table: str, cls: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a constructor of ours; keywords that it does not take are the user's mistake, other TypeErrors are ours.

    Raises:
        ConfigurationError: naming the table.
    """
    unknown = keywords.keys() - keyword_options(cls)
    if unknown:
        raise ConfigurationError(
            f"the settings in [{table}] do not fit {cls.__name__}: it takes no {', '.join(sorted(unknown))}"
        )
    return cls(*arguments, **keywords)


def constructor_values(table: dict[str, Any]) -> dict[str, Any]:
    """TOML's lists as the tuples, and its tables of initial and final as the schedules, that constructors take."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for name in ("learning_rate", "actor_learning_rate"):
        if isinstance(values.get(name), dict):
            values[name] = parse_schedule(values[name], name)
    return values
