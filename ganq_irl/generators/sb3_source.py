"""Detect whether the SB3 code that ours computes in another way is still the code that ours was written after."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import stable_baselines3
from stable_baselines3.common import preprocessing
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.torch_layers import FlattenExtractor


@dataclass(frozen=True)
class Copied:
    """A function of SB3 that code of ours computes in another way.

    To support a new release, compare the function with ours, then add the digest that ``source_digest`` gives of it.

    Attributes:
        owner: its class or module.
        name: its name.
        digests: of its source in the releases that ours agrees with.
    """

    owner: type | ModuleType
    name: str
    digests: frozenset[str]


def copied(owner: type | ModuleType, name: str, *digests: str) -> Copied:
    """Make a ``Copied`` from its parts."""
    return Copied(owner, name, frozenset(digests))


# Digests here and in ``accelerated`` are of releases 2.2.1 to 2.9.2.
FLAT_OBSERVATIONS = (
    copied(preprocessing, "preprocess_obs", "a4de3b758f2f", "ab55ad9d68d0", "73ba9eb9bf88"),
    copied(BaseModel, "extract_features", "f870d04207be"),
    copied(FlattenExtractor, "forward", "5c4d62b48e74"),
)
"""How observations of a Box become a network's input: float32, flattened."""


def why_changed(functions: Iterable[Copied]) -> str | None:
    """Return the first function whose source is not the one that was copied, in a few words; None if there is none."""
    for each in functions:
        digest = source_digest(inspect.getattr_static(each.owner, each.name))
        if digest not in each.digests:
            version = stable_baselines3.__version__
            return f"{each.owner.__name__}.{each.name} of Stable-Baselines3 {version} has another source ({digest})"
    return None


@lru_cache
def source_digest(function: Any) -> str | None:
    """Return a hash of a function's source without its whitespace; None if it has no source or wraps another function."""
    if hasattr(function, "__wrapped__"):
        return None
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    return hashlib.sha256("".join(source.split()).encode()).hexdigest()[:12]
