"""The packages and modules that the reference describes, and their public names."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHARED_NAMES = Path(__file__).parents[1] / "reference" / "names_in_examples.py"
ERRORS = ("GanqIrlError", "CheckpointFailed", "ConfigurationError", "DemoFormatError", "EnvironmentFailed")
ERRORS += ("IncompatibleSpaces", "InvalidDemonstrations", "MissingDependency", "ReadLimitExceeded", "RunDirectoryError")
ERRORS += ("StorageError", "TrainingDiverged", "UnsupportedGenerator", "WorkerLost")
# Package or module -> what it holds, and its public names; None stands for its `__all__`.
ROOMS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "ganq_irl": ("The names that most programs need. They are imported on first use.", None),
    "ganq_irl.algorithms": ("Imitation algorithms and GAN Q-learning.", None),
    "ganq_irl.discriminator": ("Inputs, networks, losses, stabilizers, and the one update.", None),
    "ganq_irl.rewards": ("Reward forms, recovered rewards, and distances between rewards.", None),
    "ganq_irl.feedback": ("Questions about segments, answers and comparisons, in memory and in files.", None),
    "ganq_irl_demos": ("Demonstrations: load, check, convert, record, save.", None),
    "ganq_irl.evaluation": ("Rollouts, statistics, and checks of values and return distributions.", None),
    "ganq_irl.runs": ("One training run and its folder.", None),
    "ganq_irl.environments": ("Environments on which scores are informative.", ("register_envs",)),
    "ganq_irl.errors": ("The errors that user mistakes raise.", ERRORS),
    "ganq_irl.types": ("The batch of transitions that all packages share.", ("Batch",)),
    "ganq_irl.space_matrix": (
        "Which algorithm trains in which spaces.",
        ("check_trains", "why_not", "trained_by", "default_generator", "Traits"),
    ),
    "ganq_irl.generators.off_policy.n_step": (
        "Replay buffers with n-step returns.",
        ("NStepReplayBuffer", "NStepDictReplayBuffer", "replay_buffer_for"),
    ),
    "ganq_irl.networks.critic_policies": (
        "Policies whose critics have layer normalization.",
        ("SACLayerNormPolicy", "TD3LayerNormPolicy"),
    ),
    "ganq_irl.networks.extractors": (
        "A features extractor for scalars and for any Dict.",
        ("LeavesExtractor", "default_extractor"),
    ),
    "ganq_irl.accelerated.sac": ("SAC and TD3, equal to Stable-Baselines3's up to rounding, in less time.", None),
    "ganq_irl.accelerated.ppo": ("PPO, equal to Stable-Baselines3's up to rounding, in less time.", None),
    "ganq_irl.studies.reward_transfer": (
        "Train on a recovered reward in changed dynamics.",
        ("transfer_reward", "Transfer"),
    ),
    "ganq_irl.budget": ("The memory that files may take.", ("read_limit", "parse_size")),
}


def names_of(room: str) -> list[str]:
    """Return the public names of a package or module."""
    named = ROOMS[room][1] or importlib.import_module(room).__all__
    return [name for name in named if not name.startswith("_")]


def public_names(room: str) -> list[str]:
    """Return its public classes and functions."""
    module = importlib.import_module(room)
    return [name for name in names_of(room) if callable(getattr(module, name))]


def public_objects() -> Iterator[tuple[str, str, Any]]:
    """Yield room, name and object of each public class and function once, where it is described."""
    seen = set()
    for room in ROOMS:
        for name in public_names(room):
            of = getattr(importlib.import_module(room), name)
            if of not in seen:
                seen.add(of)
                yield room, name, of
