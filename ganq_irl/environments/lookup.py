"""Whether an environment is there, asked of Gymnasium's registry without making it."""

from __future__ import annotations

import gymnasium as gym

from ganq_irl.errors import ConfigurationError


def check_env(env_id: str) -> None:
    """Raise unless Gymnasium knows the environment.

    Raises:
        ConfigurationError: it does not; with its suggestion.
    """
    try:
        gym.spec(env_id)
    except (gym.error.Error, ModuleNotFoundError, ValueError) as error:
        raise ConfigurationError(f"unknown environment {env_id!r}: {error}") from error
