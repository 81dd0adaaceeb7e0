"""Join demonstrations with weights, also from a TOML file of ``[[demonstrations]]`` tables (``source``, ``weight``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from ganq_irl.errors import ConfigurationError, DemoFormatError
from ganq_irl.files import read_toml
from ganq_irl.spaces import check_same_space
from ganq_irl_demos.catalog import same_environment
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.streams import split_mask

TABLE = "demonstrations"
MAX_NAME, MAX_PART = 1024, 200
"""Maximum length of a path and of a file name; file systems allow 255 bytes."""

MAX_COPIES = 100
"""Maximum number of copies of the demonstrations with the largest weight."""


def recognize(path: Path) -> bool:
    """Return whether a file is TOML, by its name."""
    return path.is_file() and path.suffix.lower() == ".toml"


def parts(path: Path) -> list[tuple[str, float]]:
    """Return the sources (files are relative to ``path``) and their weights.

    Raises:
        DemoFormatError: not TOML of this form.
    """
    try:
        content = read_toml(path)
    except ConfigurationError as error:
        raise DemoFormatError(str(error)) from error
    tables: Any = content.get(TABLE)
    sound = isinstance(tables, list) and tables and all(isinstance(table, dict) and _is_part(table) for table in tables)
    if not sound or set(content) != {TABLE}:
        raise DemoFormatError(
            f'{path}: expected [[{TABLE}]] tables, each with source = "NAME-or-FILE" and optionally weight = 2.0'
        )
    found = [(_beside(path, table["source"]), float(table.get("weight", 1))) for table in tables]
    if nested := [source for source, _ in found if recognize(Path(source)) and Path(source) != path]:
        raise DemoFormatError(f"{path}: {nested[0]} is such a table itself; list the sources that it joins instead")
    return found


def _is_part(table: dict[str, Any]) -> bool:
    weight = table.get("weight", 1)
    source = table.get("source")
    known = set(table) <= {"source", "weight"} and isinstance(source, str) and _is_name(source)
    return known and isinstance(weight, int | float) and not isinstance(weight, bool)


def _is_name(source: str) -> bool:
    """Return whether a source can be a file name."""
    return "\x00" not in source and len(source) < MAX_NAME and all(len(part) < MAX_PART for part in source.split("/"))


def _beside(path: Path, source: str) -> str:
    beside = path.parent / split_mask(source)[0]
    return str(path.parent / source) if beside.exists() else source


def join(sets: Sequence[tuple[Demonstrations, float]], source: str) -> Demonstrations:
    """Join demonstrations so that each trajectory counts in proportion to its weight.

    Trajectories are repeated, which works with every algorithm. Weights are rounded to a ratio of small integers.

    Raises:
        ConfigurationError: nothing to join, or a weight that is not positive and finite, or too different from the others.
        IncompatibleSpaces: the spaces differ.
    """
    if not sets:
        raise ConfigurationError("no demonstrations to join; give at least one source")
    counts = _copies([weight for _, weight in sets])
    first = sets[0][0]
    for other, _ in sets[1:]:
        check_same_space(
            other.observation_space, first.observation_space, f"{other.source} beside {first.source}: observations"
        )
        check_same_space(other.action_space, first.action_space, f"{other.source} beside {first.source}: actions")
        if other.env_id and first.env_id and not same_environment(other.env_id, first.env_id):
            raise ConfigurationError(
                f"{other.source} is from {other.env_id} and {first.source} from {first.env_id}; join one task only"
            )
    repeated = (one for (demos, _), count in zip(sets, counts, strict=True) for _ in range(count) for one in demos)
    made = [
        {"source": demos.source, "weight": weight, "copies": count, "provenance": demos.provenance}
        for (demos, weight), count in zip(sets, counts, strict=True)
    ]
    return Demonstrations(
        trajectories=repeated,
        observation_space=first.observation_space,
        action_space=first.action_space,
        env_id=next((demos.env_id for demos, _ in sets if demos.env_id), None),
        provenance={"joined": made},
        source=source,
        missing=tuple({name for demos, _ in sets for name in demos.missing}),
    )


def _copies(weights: Sequence[float]) -> list[int]:
    """Return integers in the ratio of the weights."""
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ConfigurationError(
            f"weights {list(weights)}: expected positive numbers; leave a source out instead of giving it weight 0"
        )
    ratios = [Fraction(weight / min(weights)).limit_denominator(10) for weight in weights]
    scale = math.lcm(*(ratio.denominator for ratio in ratios))
    copies = [int(ratio * scale) for ratio in ratios]
    if max(copies) > MAX_COPIES:
        raise ConfigurationError(f"weights {list(weights)} need {max(copies)} copies of a source, more than {MAX_COPIES}")
    return copies
