"""Choose parts of Minari's observations, whose spaces may be nested and contain text."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, nearest

Path = tuple[str, ...]
_SUPPORTED = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def leaves(space: spaces.Space, path: Path = ()) -> dict[Path, spaces.Space]:
    """Return the spaces inside nested Dicts by their key paths; a space that is not a Dict has the empty path."""
    if not isinstance(space, spaces.Dict):
        return {path: space}
    return {inner: leaf for key, part in space.spaces.items() for inner, leaf in leaves(part, (*path, key)).items()}


def is_supported(space: spaces.Space) -> bool:
    """Return whether a space other than a Dict holds numbers."""
    return isinstance(space, _SUPPORTED)


def choose(space: spaces.Space, asked: tuple[str, ...], source: str) -> dict[str, Path]:
    """Return the observations to read, as name -> key path. The name is "" if a single one does not become a Dict.

    Args:
        space: observation space of the dataset.
        asked: keys to read, with dots for nested Dicts; empty for all.
        source: name for error messages.

    Raises:
        ConfigurationError: an unknown key.
        DemoFormatError: a nested Dict or a space without numbers; the message lists the keys that can be read.
    """
    found = {".".join(path): path for path in leaves(space)}
    known = {".".join(path): leaf for path, leaf in leaves(space).items()}
    readable = [name for name, leaf in known.items() if is_supported(leaf)]
    for name in asked:
        if name not in found:
            raise ConfigurationError(f"{source}: no observation is called {name!r}; {nearest(name, found)}")
    chosen = {name: found[name] for name in asked or found}
    odd = next((name for name in chosen if name not in readable), None)
    nested = next((name for name, path in chosen.items() if len(path) > 1), None) if not asked else None
    if odd is not None or nested is not None:
        raise DemoFormatError(_unreadable(space, known, odd, nested, readable, source))
    return {"": chosen[asked[0]]} if len(asked) == 1 else chosen


def _unreadable(
    space: spaces.Space, known: dict[str, Any], odd: str | None, nested: str | None, readable: list[str], source: str
) -> str:
    what = f"{nested!r} is in a nested Dict" if odd is None else f"{odd!r} is a {type(known[odd]).__name__}"
    if odd == "":
        what = f"a {type(space).__name__} is not supported"
    advice = (
        f"choose with --columns observations=KEY[,KEY...] from: {', '.join(readable)}"
        if any(readable)
        else "record it again with gymnasium's FlattenObservation wrapper"
    )
    return f"{source}: its observation space is {str(space)[:160]}; {what}; {advice}"


def chosen_space(space: spaces.Space, chosen: dict[str, Path]) -> spaces.Space:
    """Return the space of the chosen observations."""
    found = leaves(space)
    if set(chosen) == {""}:
        return found[chosen[""]]
    return spaces.Dict({name: found[path] for name, path in chosen.items()})


def chosen_values(observations: Any, chosen: dict[str, Path]) -> Any:
    """Return the chosen observations of an episode from Minari."""
    picked = {name: _at(observations, path) for name, path in chosen.items()}
    return picked[""] if set(picked) == {""} else picked


def _at(observations: Any, path: Path) -> np.ndarray:
    for key in path:
        observations = observations[key]
    return np.asarray(observations)
