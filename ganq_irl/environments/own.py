"""Import user modules: of environments, or of teachers. The user names them; files that are read never do."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ganq_irl.errors import ConfigurationError

VARIABLE = "GANQ_IRL_IMPORT"
"""Environment variable with the module names, separated by commas. Importing ``ganq_irl.environments`` imports them."""


def import_environments(modules: Sequence[str]) -> None:
    """Import modules that register environments, in this process and in its worker processes.

    The working directory is searched last, so that its files never shadow installed modules.

    Args:
        modules: dotted names, as in an import statement.

    Raises:
        ConfigurationError: a module cannot be found.
    """
    named = [*_named(), *modules]
    os.environ[VARIABLE] = ",".join(dict.fromkeys(named))
    import_named()


def import_named() -> None:
    """Import the modules named in ``GANQ_IRL_IMPORT``.

    Raises:
        ConfigurationError: a module cannot be found.
    """
    for name in _named():
        if name not in sys.modules:
            _import(name)


def names_function(text: str) -> bool:
    """Return whether a name has the form ``module:function``.

    Example:
        >>> names_function("mine.teachers:answer"), names_function("runs/expert")
        (True, False)
    """
    return re.fullmatch(r"[\w.]+:[\w.]+", text) is not None


def named_function(path: str) -> Callable[..., Any]:
    """Return the function ``module:function`` of a module that the user named.

    Raises:
        ConfigurationError: the user did not name the module, or it has no such function.
    """
    module, _, attribute = path.partition(":")
    if module not in _named():
        raise ConfigurationError(
            f"{path} is code, which settings cannot run; name its module yourself: ganq-irl --import {module or 'MODULE'}"
        )
    import_named()
    function = getattr(sys.modules[module], attribute, None)
    if not callable(function):
        raise ConfigurationError(f"{path}: the module {module} has no function {attribute!r}")
    return function


def _named() -> list[str]:
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def _import(name: str) -> None:
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{name} cannot be imported ({error}); name a module that is installed or lies in the working directory"
        ) from error
    finally:
        del sys.path[-1 - sys.path[::-1].index(folder)]  # the last one: it may have been there before
