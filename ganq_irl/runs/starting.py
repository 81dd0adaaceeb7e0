"""Default settings of a run that starts from a trained policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.generators.factory import generator_options
from ganq_irl.generators.policies.acting import has_actor
from ganq_irl.generators.policies.starting import options_to_start, policy_folder
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.runs.config import merged
from ganq_irl.space_matrix import default_generator

HELD_STEPS = 2000
"""Default number of steps during which critics learn before the policy does."""
_OF_EXPLORATION = {"learning_starts": 0, "exploration_initial_eps": 0.05}
"""Options of generators that would replace the policy's actions by random ones."""


def starting_defaults(source: Path | str, algo: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default settings of a run that starts from ``source``.

    The networks and the normalization of observations are those of the stored policy, no random actions replace its own, and
    it is held for ``HELD_STEPS`` environment steps if it has an actor apart from its critics.

    Args:
        source: a run, or the folder of a policy.
        algo: algorithm of the new run.
        settings: its other settings, of which the generator is read.

    Raises:
        RunDirectoryError: there is no policy.
        StorageError: the policy is damaged.
    """
    stored = load_policy(policy_folder(source), "cpu")
    name = algo if algo not in ALGORITHMS else settings.get("generator") or default_generator(algo, stored.action_space)
    known = generator_options(name)
    exploration = {option: value for option, value in _OF_EXPLORATION.items() if option in known}
    return {
        "generator_kwargs": merged(exploration, options_to_start(name, stored)),
        "normalize_observations": stored.normalizer is not None,
        "hold_policy": HELD_STEPS if has_actor(stored.policy) else 0,
    }
