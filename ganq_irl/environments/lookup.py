"""Check whether Gymnasium knows an environment, without making it."""

from __future__ import annotations

import importlib.util

import gymnasium as gym

from ganq_irl.errors import ConfigurationError


def check_env(env_id: str) -> None:
    """Check that Gymnasium knows an environment.

    Raises:
        ConfigurationError: it does not, or the id names a module, which Gymnasium would import.
    """
    module, colon, name = env_id.partition(":")
    if colon:
        raise ConfigurationError(
            f"{env_id!r} would import the module {module}, which settings and files must not do; if you trust it, give "
            f"--import {module} and the id {name} (as a flag, --env {env_id} does both)"
        )
    try:
        gym.spec(env_id)
    except (gym.error.Error, ModuleNotFoundError, ValueError) as error:
        raise ConfigurationError(f"unknown environment {env_id!r}: {_advice(env_id, error)}") from error


def _advice(env_id: str, error: Exception) -> str:
    """Return Gymnasium's message, unless the package is installed but not imported: Gymnasium then asks to install it."""
    namespace = env_id.rpartition("/")[0]
    if not isinstance(error, gym.error.NamespaceNotFound) or not namespace.isidentifier():
        return str(error)
    if importlib.util.find_spec(namespace) is None:
        return f"{error} If it belongs to a package, install the package and give --import with the module that registers it"
    return (
        f"the package {namespace} is installed, but registers its environments only when it is imported: "
        f"give --import {namespace} (in Python, import {namespace})"
    )
