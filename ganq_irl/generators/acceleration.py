"""Find the faster twins of ``ganq_irl.accelerated``. That package is optional: without it, everything runs, only slower."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def is_installed(path: str) -> bool:
    """Return whether the package that holds ``module:name`` is there."""
    package = path.split(":")[0].rpartition(".")[0]
    return find_spec(package) is not None


def imported(path: str) -> Any:
    """Import the object that ``module:name`` names."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


def original_method(kind: type, name: str) -> Any:
    """Return a method of a class, past accelerated classes, whose ``computes_as_its_base`` says that theirs is equal."""
    owners = (owner for owner in kind.__mro__ if name in vars(owner) and not vars(owner).get("computes_as_its_base"))
    return vars(next(owners))[name]


def why_slow(path: str, model: Any) -> str | None:
    """Return the first reason why an accelerated twin would not compute the same as ``model``; None if it does.

    Args:
        path: ``module:name`` of a class with a static method ``why_slow``, which gives that reason.
        model: what is to be accelerated.
    """
    return imported(path).why_slow(model) if is_installed(path) else f"{path} is not installed"
