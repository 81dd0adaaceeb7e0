"""Settings of the papers' own algorithms, beside the defaults, which are steadier on few demonstrations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganq_irl.errors import ConfigurationError, nearest

GAIL_MODES: dict[str, dict[str, Any]] = {
    "default": {
        "reward": "logit",
        "hidden_sizes": (64, 64),
        "activation": "relu",
        "stabilizers": ("spectral-norm",),
        "n_updates": None,
        "normalize_values": True,
    },
    # Ho & Ermon (2016), algorithm 1: the cost is the log of their D, which is 1 - D here, so that the reward is -log(1 - D);
    # one plain step of logistic regression a round. Two hidden layers of 100 tanh units are those of their experiments.
    "paper": {
        "reward": "gail",
        "hidden_sizes": (100, 100),
        "activation": "tanh",
        "stabilizers": (),
        "n_updates": 1,
        "normalize_values": False,
    },
}
"""``GAIL(mode=...)`` -> its settings."""

AIRL_MODES: dict[str, dict[str, Any]] = {
    "default": {
        "reward": "f",
        "stabilizers": ("spectral-norm",),
        "normalize_values": True,
    },
    # Fu et al. (2018), algorithm 1: the reward is log D - log(1 - D) = f - log π. It fixes no networks.
    "paper": {
        "reward": "logit",
        "stabilizers": (),
        "normalize_values": False,
    },
}
"""``AIRL(mode=...)`` -> its settings."""


def settled(modes: Mapping[str, Mapping[str, Any]], mode: str, **given: Any) -> dict[str, Any]:
    """The settings given, and those of the mode where None was.

    >>> settled({"default": {"width": 1, "depth": 2}}, "default", width=5, depth=None)
    {'width': 5, 'depth': 2}

    Raises:
        ConfigurationError: there is no such mode.
    """
    if not isinstance(mode, str) or mode not in modes:
        raise ConfigurationError(f"unknown mode {mode!r}: {nearest(str(mode), modes)}")
    return {name: modes[mode][name] if value is None else value for name, value in given.items()}
