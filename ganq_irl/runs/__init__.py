"""One run: from settings to a run directory, and back.

The order of a run: ``config`` and ``presets`` give the settings, ``resolve`` combines them, ``validation`` checks them,
``training`` builds the environments, demonstrations and algorithm, ``runner`` trains and evaluates, ``directory`` and
``checkpoints`` write and read the files. ``callbacks``, ``monitor``, ``divergence`` and ``tensorboard`` act while it learns.

The names below are imported on first use, so that a process that trains nothing starts fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganq_irl.runs.config import EvaluationConfig, ExperimentConfig
    from ganq_irl.runs.directory import Run, load_run
    from ganq_irl.runs.presets import load_presets
    from ganq_irl.runs.resolve import resolve_config
    from ganq_irl.runs.runner import RunResult, resume_experiment, run_experiment

_MODULES = {
    "EvaluationConfig": "config",
    "ExperimentConfig": "config",
    "Run": "directory",
    "RunResult": "runner",
    "load_presets": "presets",
    "load_run": "directory",
    "resolve_config": "resolve",
    "resume_experiment": "runner",
    "run_experiment": "runner",
}

__all__ = [
    "EvaluationConfig",
    "ExperimentConfig",
    "Run",
    "RunResult",
    "load_presets",
    "load_run",
    "resolve_config",
    "resume_experiment",
    "run_experiment",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
