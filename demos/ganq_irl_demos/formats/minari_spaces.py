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
    known = {".".join(path): (path, leaf) for path, leaf in leaves(space).items()}
    for name in asked:
        if name not in known:
            raise ConfigurationError(f"{source}: no observation is called {name!r}; {nearest(name, known)}")
    chosen = {name: known[name][0] for name in asked or known}
    problems = [problem for name in chosen if (problem := _problem(name, *known[name], is_asked=bool(asked)))]
    if problems:
        readable = [name for name, (_, leaf) in known.items() if name and is_supported(leaf)]
        advice = (
            f"choose with --columns observations=KEY[,KEY...] from: {', '.join(readable)}"
            if readable
            else "record it again with gymnasium's FlattenObservation wrapper"
        )
        raise DemoFormatError(f"{source}: its observation space is {str(space)[:160]}; {problems[0]}; {advice}")
    return {"": chosen[asked[0]]} if len(asked) == 1 else chosen


def _problem(name: str, path: Path, leaf: spaces.Space, *, is_asked: bool) -> str | None:
    """Return why an observation cannot be read, or None if it can."""
    if not is_supported(leaf):
        kind = type(leaf).__name__
        return f"{name!r} is a {kind}" if name else f"a {kind} is not supported"
    return f"{name!r} is in a nested Dict" if len(path) > 1 and not is_asked else None


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
