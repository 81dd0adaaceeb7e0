"""Demonstrations: episodes of an expert, recorded, loaded, checked and summarised.

The names below are imported when first used, so that ``import ganq_irl_demos`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "CatalogEntry": "catalog",
    "Demonstrations": "trajectories",
    "FORMATS": "formats",
    "Finding": "findings",
    "Trajectory": "trajectories",
    "catalog": "catalog",
    "check_demonstrations": "checking",
    "load_demonstrations": "loading",
    "plot_summary": "plotting",
    "random_policy": "recording",
    "record_episodes": "recording",
    "reference_returns": "catalog",
    "require_valid": "checking",
    "save_demonstrations": "loading",
    "summarize": "summary",
    "to_imitation": "formats.imitation",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ganq_irl_demos' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ganq_irl_demos.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
