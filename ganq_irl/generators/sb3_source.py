"""Detect whether SB3 code that we reimplement has changed since."""

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
    """A function of SB3 that we reimplement.

    To support a new release, compare the function with ours, then add its digest, which ``source_digest`` returns.

    Attributes:
        owner: class or module of the function.
        name: name of the function.
        digests: digests of its source in the supported releases.
    """

    owner: type | ModuleType
    name: str
    digests: frozenset[str]


def copied(owner: type | ModuleType, name: str, *digests: str) -> Copied:
    """Build a ``Copied`` from its parts."""
    return Copied(owner, name, frozenset(digests))


# Digests here and in ``accelerated`` are from releases 2.2.1 to 2.9.2.
FLAT_OBSERVATIONS = (
    copied(preprocessing, "preprocess_obs", "a4de3b758f2f", "ab55ad9d68d0", "73ba9eb9bf88"),
    copied(BaseModel, "extract_features", "f870d04207be"),
    copied(FlattenExtractor, "forward", "5c4d62b48e74"),
)
"""Conversion of Box observations to a network's input: float32, flattened."""


def why_changed(functions: Iterable[Copied]) -> str | None:
    """Describe the first function whose source has changed, or return None."""
    for each in functions:
        digest = source_digest(inspect.getattr_static(each.owner, each.name))
        if digest not in each.digests:
            version = stable_baselines3.__version__
            return f"{each.owner.__name__}.{each.name} of Stable-Baselines3 {version} has different source code ({digest})"
    return None


@lru_cache
def source_digest(function: Any) -> str | None:
    """Return a hash of a function's source without whitespace; None if it has no source or wraps another function."""
    if hasattr(function, "__wrapped__"):
        return None
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    return hashlib.sha256("".join(source.split()).encode()).hexdigest()[:12]
