"""Imitation learning and inverse reinforcement learning on one shared discriminator.

The names below are imported when first used, so that ``import ganq_irl`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "AIRL": "ganq_irl.algorithms",
    "BC": "ganq_irl.algorithms",
    "ContinuousGANQ": "ganq_irl.algorithms",
    "GAIL": "ganq_irl.algorithms",
    "GAN": "ganq_irl.algorithms",
    "GANQ": "ganq_irl.algorithms",
    "RewardModel": "ganq_irl.rewards",
    "load_demonstrations": "ganq_irl_demos",
    "register_envs": "ganq_irl.environments",
}

__all__ = [*_EXPORTS, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name from its room on first use (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ganq_irl' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
