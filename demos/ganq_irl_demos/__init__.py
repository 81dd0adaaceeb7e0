"""Demonstrations: record, load, check and summarize episodes of an expert.

The names below are imported on first use, so that ``import ganq_irl_demos`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Not lazy: the function has the name of its module, and importing the module later would replace it.
from ganq_irl_demos.catalog import CatalogEntry, catalog, reference_returns

if TYPE_CHECKING:
    from ganq_irl_demos.checking.check import check_demonstrations, examine_demonstrations, require_valid
    from ganq_irl_demos.checking.findings import Finding
    from ganq_irl_demos.converting import convert_demonstrations
    from ganq_irl_demos.demonstrations import OPTIONAL_FIELDS, Demonstrations
    from ganq_irl_demos.formats import FORMATS
    from ganq_irl_demos.imitation_types import to_imitation
    from ganq_irl_demos.loading import load_demonstrations, save_demonstrations
    from ganq_irl_demos.pictures.figure import plot_sets
    from ganq_irl_demos.recording.policies import random_policy
    from ganq_irl_demos.recording.record import record_episodes
    from ganq_irl_demos.summary import describe
    from ganq_irl_demos.trajectories import Trajectory

_LAZY = {
    "Demonstrations": "demonstrations",
    "FORMATS": "formats",
    "Finding": "checking.findings",
    "OPTIONAL_FIELDS": "demonstrations",
    "Trajectory": "trajectories",
    "check_demonstrations": "checking.check",
    "convert_demonstrations": "converting",
    "describe": "summary",
    "examine_demonstrations": "checking.check",
    "load_demonstrations": "loading",
    "plot_sets": "pictures.figure",
    "random_policy": "recording.policies",
    "record_episodes": "recording.record",
    "require_valid": "checking.check",
    "save_demonstrations": "loading",
    "to_imitation": "imitation_types",
}

__all__ = [
    "FORMATS",
    "OPTIONAL_FIELDS",
    "CatalogEntry",
    "Demonstrations",
    "Finding",
    "Trajectory",
    "catalog",
    "check_demonstrations",
    "convert_demonstrations",
    "describe",
    "examine_demonstrations",
    "load_demonstrations",
    "plot_sets",
    "random_policy",
    "record_episodes",
    "reference_returns",
    "require_valid",
    "save_demonstrations",
    "to_imitation",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'ganq_irl_demos' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ganq_irl_demos.{_LAZY[name]}"), name)
