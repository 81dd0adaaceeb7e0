"""Find the faster implementations in ``ganq_irl.accelerated``. That package is optional; without it, training is slower."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


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
