"""Find the faster implementations in ``ganq_irl.accelerated``, and detect whether the SB3 code that they repeat has changed.

That package is optional; without it, training is slower.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import stable_baselines3
from stable_baselines3.common import preprocessing
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.torch_layers import FlattenExtractor


def is_installed(path: str) -> bool:
    """Return whether the package of ``module:name`` is installed."""
    package = path.split(":")[0].rpartition(".")[0]
    return find_spec(package) is not None


def imported(path: str) -> Any:
    """Import the object ``module:name``."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


def original_method(kind: type, name: str) -> Any:
    """Return a class's method, but not that of an accelerated class that ``computes_as_its_base``."""
    owners = (owner for owner in kind.__mro__ if name in vars(owner) and not vars(owner).get("computes_as_its_base"))
    return vars(next(owners))[name]


def why_slow(path: str, model: Any) -> str | None:
    """Return the first reason why an accelerated class would not compute the same as ``model``, or None.

    Args:
        path: ``module:name`` of a class with a static method ``why_slow`` that gives the reason.
        model: the model to accelerate.
    """
    return imported(path).why_slow(model) if is_installed(path) else f"{path} is not installed"


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
