"""Find which columns of a table hold each field, by their usual names or as the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from ganq_irl.errors import ConfigurationError, DemoFormatError, nearest

SYNONYMS = {
    "observations": ("observations", "observation", "obs", "states", "state"),
    "actions": ("actions", "action", "acts", "act"),
    "rewards": ("rewards", "reward", "rews", "rew"),
    "next_observations": ("next_observations", "next_observation", "next_obs", "next_states", "next_state"),
    "terminated": ("terminated", "terminals", "terminal", "terminations"),
    "truncated": ("truncated", "truncations", "timeouts"),
    "dones": ("dones", "done"),
    "episode": ("episode", "episode_id", "episode_ids", "episode_index", "trajectory", "trajectory_id"),
    "rank": ("rank", "ranks"),
    "step": ("step", "step_id", "step_index", "timestep", "time_step", "frame_index", "t"),
}
"""Field -> usual names of its column."""

_INDEXED = re.compile(r"^(?P<base>.+?)[_\[](?P<index>[0-9]{1,9})\]?$")
_BRACKETED = re.compile(r"^(?P<base>.+)\[(?P<index>[0-9]{1,9})\]$")


def find_columns(names: list[str], asked: Mapping[str, tuple[str, ...]], source: str) -> dict[str, list[str]]:
    """Return the columns of each field.

    A field is one column (``obs``), several numbered ones (``obs_0``, ``obs_1``, ...), or one per key of a Dict observation
    (``obs.camera``, ``obs.speed``). ``asked`` lists columns with other names; ``x*`` matches all columns that start with x.

    Returns:
        Field, or ``observations.<key>``, -> its columns in order.

    Raises:
        ConfigurationError: a requested field or column does not exist.
        DemoFormatError: there are no observations.
    """
    asked = _by_field(asked)
    found: dict[str, list[str]] = {}
    for field, synonyms in SYNONYMS.items():
        if field in asked:
            found[field] = _asked_columns(names, asked[field], source)
        else:
            found |= next((some for name in synonyms if (some := _usual_columns(names, name, field))), {})
    if not any(field.partition(".")[0] == "observations" for field in found):
        raise DemoFormatError(
            f"{source}: no column has a usual name of observations (columns: {', '.join(names[:20]) or 'none'}); name it "
            "with --columns observations=NAME[,NAME...]"
        )
    return found


def _by_field(asked: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the requested columns by field, for which any of its usual names may be given."""
    known = {synonym: field for field, synonyms in SYNONYMS.items() for synonym in synonyms}
    by_field: dict[str, tuple[str, ...]] = {}
    for name, columns in asked.items():
        if name not in known:
            raise ConfigurationError(f"columns: no field is called {name!r}; {nearest(name, known)}")
        if known[name] in by_field:
            raise ConfigurationError(f"columns: {name!r} is another name of {known[name]!r}; give only one of them")
        by_field[known[name]] = columns
    return by_field


def _asked_columns(names: list[str], patterns: tuple[str, ...], source: str) -> list[str]:
    chosen: list[str] = []
    for pattern in patterns:
        matching = [name for name in names if name.startswith(pattern[:-1])] if pattern.endswith("*") else [pattern]
        if not matching or not set(matching) <= set(names):
            raise ConfigurationError(f"{source}: no column {pattern!r}; {nearest(pattern, names)}")
        chosen += matching
    return chosen


def _usual_columns(names: list[str], base: str, field: str) -> dict[str, list[str]]:
    if base in names:
        return {field: [base]}
    if field == "step":  # t_0 and t_1 are not steps
        return {}
    if indexed := _numbered(names, base, _INDEXED):
        return {field: indexed}
    if not field.endswith("observations"):
        return {}
    keyed = [name for name in names if name.startswith(f"{base}.")]
    bases = dict.fromkeys(match["base"] if (match := _BRACKETED.match(name)) else name for name in keyed)
    return {
        f"{field}.{unquote(name[len(base) + 1 :])}": [name] if name in keyed else _numbered(keyed, name, _BRACKETED)
        for name in bases
    }


def is_numbered(name: str) -> bool:
    """Return whether a column's name marks it as one of several that make up a field."""
    return _INDEXED.match(name) is not None


def _numbered(names: list[str], base: str, pattern: re.Pattern[str]) -> list[str]:
    """Return the columns called ``base`` and a number, in the order of the numbers."""
    found = {int(match["index"]): name for name in names if (match := pattern.match(name)) and match["base"] == base}
    return [found[index] for index in sorted(found)]


def column_name(field: str) -> str:
    """Return a column name that ``find_columns`` understands: the key of a Dict observation is percent-encoded."""
    base, dot, key = field.partition(".")
    return base + dot + quote(key, safe="").replace(".", "%2E")
