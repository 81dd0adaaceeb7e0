"""Imitation learning and inverse reinforcement learning on one shared discriminator.

Public names are imported on first use, so that ``import ganq_irl`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "ganq_irl.algorithms": (
        *(
            "AIRL",
            "AMP",
            "BC",
            "DAC",
            "DAgger",
            "DREX",
            "FAIRL",
            "GAIL",
            "GAIfO",
            "GANQ",
            "IQLearn",
            "LSIQ",
            "SQIL",
            "TREX",
            "VAIL",
            "WAIL",
        ),
        *(
            "AdversarialImitation",
            "ContinuousGANQ",
            "OffPolicyImitation",
            "Preferences",
            "RankingLearning",
            "RewardLearning",
        ),
        *("SoftQReward", "warm_start"),
    ),
    "ganq_irl.rewards": (
        *("Coverage", "FunctionReward", "RewardForm", "RewardFunction", "RewardModel"),
        *("RewardWrapper", "VecRewardWrapper"),
    ),
    "ganq_irl.generators.policies.acting": ("HoldPolicy",),
    "ganq_irl.generators.policies.average": ("PolicyAverage",),
    "ganq_irl.generators.policies.starting": ("start_from",),
    "ganq_irl.generators.policies.store": ("StoredPolicy", "load_policy", "save_policy"),
    "ganq_irl.environments": ("register_envs",),
    "ganq_irl.errors": ("GanqIrlError",),
    "ganq_irl.runs": ("ExperimentConfig", "Run", "RunResult", "load_run", "run_experiment"),
    "ganq_irl_demos": ("Demonstrations", "Trajectory", "load_demonstrations", "record_episodes", "save_demonstrations"),
}
_EXPORTS = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [*_EXPORTS, "__version__"]  # names, all of them strings


def __getattr__(name: str) -> Any:
    """Import a public name from its room on first use (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ganq_irl' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    """Return all public names, whether imported or not."""
    return sorted({*globals(), *__all__})
