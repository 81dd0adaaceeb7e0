"""Parse untrusted JSON and TOML, after checking that parsing will not take too much memory or time."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from ganq_irl import budget
from ganq_irl.errors import ConfigurationError

NODE_BYTES = 128
"""Memory of a value, in bytes; each JSON mark (bracket, comma, colon) counts as a value."""

CELL_BYTES = 128
"""Memory of a table cell as text in a dict, in bytes."""

MOST_STEPS = 2 * 10**6
"""Maximum number of table lookups for the keys of a TOML file; every part of a key is looked up from the top."""

_MARKS = (b"[", b"{", b",", b":")
_NUMBER = re.compile(r"(?<![\w.\"'-])[+-]?[0-9_]++\.[0-9_]++(?:[eE][+-]?[0-9_]++)?(?=[\s,\]}]|$)")


def json_cost(text: str | bytes) -> int:
    """Return an upper bound on the bytes that parsing takes, including the text and its decoded forms."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    widest = 3 if raw.isascii() else 9
    return NODE_BYTES * (1 + sum(map(raw.count, _MARKS))) + widest * len(raw)


def parse_json(text: str | bytes, source: object) -> Any:
    """Parse JSON.

    Raises:
        ReadLimitExceeded: it would take more memory than allowed.
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    budget.current().check(json_cost(text), source)
    return json.loads(text)


def parse_toml(text: str, source: object) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ConfigurationError: it is not TOML, or its keys are nested too deeply.
    """
    depth = steps = 0
    for number, line in enumerate(text.split("\n"), 1):
        dots = line.count(".")
        if dots > 1:
            dots -= len(_NUMBER.findall(line))
        if line.lstrip().startswith("["):
            depth = max(depth, dots)
        steps += (1 + dots) * (depth + dots)
        if steps > MOST_STEPS:
            raise ConfigurationError(
                f"{source} is not read beyond line {number}: keys with so many dots would take too long to parse; use a few "
                "levels of tables, and split long lists over several lines"
            )
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is not TOML: {str(error)[:200]}") from error


def check_table(text: str | bytes, source: object) -> None:
    """Check that a table of comma-separated text may be read into memory.

    Raises:
        ReadLimitExceeded: it would take more memory than allowed.
    """
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    columns = 1 + raw.partition(b"\n")[0].count(b",")
    rows = 1 + raw.count(b"\n") + raw.count(b"\r")
    budget.current().check(CELL_BYTES * (columns * rows + raw.count(b",")), source)
