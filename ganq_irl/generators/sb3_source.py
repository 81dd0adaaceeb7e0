"""Which of SB3's methods code of ours stands in for, and whether they are still those that it was written after."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import stable_baselines3

Digests = frozenset[str]


@dataclass(frozen=True)
class Copied:
    """A method of SB3 that code of ours repeats in another way.

    To support a new release, compare its source with ours, then add what ``source_digest`` says of it.

    Attributes:
        owner: its class.
        name: of the method.
        digests: of its source in the releases that ours agrees with.
    """

    owner: type
    name: str
    digests: Digests

    @property
    def method(self) -> Any:
        """The method that SB3 has now."""
        return inspect.getattr_static(self.owner, self.name)


def copied(owner: type, name: str, *digests: str) -> Copied:
    """A ``Copied`` from its parts."""
    return Copied(owner, name, frozenset(digests))


def why_changed(methods: Iterable[Copied]) -> str | None:
    """The first method that is not as it was copied, in a few words; None if all are."""
    for each in methods:
        digest = source_digest(each.method)
        if digest not in each.digests:
            version = stable_baselines3.__version__
            return f"{each.owner.__name__}.{each.name} of Stable-Baselines3 {version} has another source ({digest})"
    return None


@lru_cache
def source_digest(function: Any) -> str | None:
    """A hash of a function's source, whatever its layout; None where it has no source, or is wrapped in another function."""
    if hasattr(function, "__wrapped__"):
        return None
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    return hashlib.sha256("".join(source.split()).encode()).hexdigest()[:12]
