"""Demonstrations that a run keeps from training, to judge its policy without a reward."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.discriminator.inputs import STATE_ACTION
from ganq_irl.errors import ConfigurationError, GanqIrlError
from ganq_irl.evaluation.heldout import FEWEST, HeldoutDistance, heldout_distance
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.envs import probe_env, time_limit
from ganq_irl.runs.validation import table_of

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations, Trajectory

_log = logging.getLogger(__name__)

MOST = 20
"""Most held-out episodes that are used; more hardly narrow the interval."""


@dataclass(frozen=True)
class Heldout:
    """Demonstrations that a run does not learn from.

    Attributes:
        demonstrations: at least two episodes.
        inputs: names of the fields to compare.
    """

    demonstrations: Demonstrations
    inputs: Sequence[str] = STATE_ACTION

    def distance(self, played: Sequence[Trajectory]) -> HeldoutDistance | None:
        """Return the distance of a policy's episodes; None for fewer than two."""
        if len(played) < FEWEST:
            return None
        return heldout_distance(
            self.demonstrations, replace(self.demonstrations, trajectories=played, missing=()), inputs=self.inputs
        )


def split_demonstrations(config: ExperimentConfig) -> tuple[Demonstrations, Heldout | None]:
    """Load a run's demonstrations, check them against its environment, and divide them by its seed.

    Returns:
        The episodes to learn from, and those left out; None if fewer than two are.

    Raises:
        ConfigurationError: too few demonstrations for ``heldout`` and ``n_trajectories``, or for ``keep_best``.
        GanqIrlError: the demonstrations are damaged or do not fit the environment.
    """
    loaded = _loaded(config)
    kept = max(FEWEST, round(config.heldout * len(loaded))) if config.heldout else 0
    n_left = len(loaded) - kept
    if kept and n_left < (config.n_trajectories or 1):
        raise ConfigurationError(
            f"heldout={config.heldout} keeps {kept} of the {len(loaded)} trajectories of {loaded.source} from training, and "
            f"{config.n_trajectories or 1} are needed to learn from; give more trajectories, or a smaller share"
        )
    wanted = config.n_trajectories or n_left
    draws = kept > 0 or config.n_trajectories is not None
    chosen = loaded.select(wanted, np.random.default_rng(config.seed)) if draws else loaded
    rest = np.random.default_rng(config.seed).permutation(len(loaded))[wanted:][:MOST].tolist()  # drawn as select draws
    if len(rest) >= FEWEST:
        held = replace(loaded, trajectories=[loaded.episodes[index] for index in rest])
        return chosen, Heldout(held, _inputs(config))
    if config.evaluation.keep_best == "heldout":
        raise ConfigurationError(
            f"evaluation.keep_best=heldout needs at least {FEWEST} demonstrations that are kept from training; "
            "set heldout=0.2, or a smaller n_trajectories"
        )
    return chosen, None


def heldout_of(config: ExperimentConfig) -> Heldout | None:
    """Return a finished run's held-out demonstrations; None if it has none, with a warning if they cannot be read.

    The settings may be someone else's, so this fetches nothing.
    """
    if config.demos is None or not (config.heldout or config.n_trajectories):
        return None
    if config.demos.startswith(("huggingface:", "minari:")):
        _log.warning("no held-out distance, since %s is not a file; training reported it", config.demos)
        return None
    try:
        return split_demonstrations(config)[1]
    except GanqIrlError as error:
        _log.warning("no held-out distance, since the run's demonstrations cannot be read: %s", error)
        return None


def _loaded(config: ExperimentConfig) -> Demonstrations:
    from ganq_irl_demos import load_demonstrations, require_valid

    env = probe_env(config.env, config.env_kwargs)
    expected: dict[str, Any] = {
        "observation_space": env.observation_space,
        "action_space": env.action_space,
        "env_id": config.env,
    }
    horizon = time_limit(env)
    env.close()
    # the algorithm knows what it needs
    demonstrations = load_demonstrations(config.demos, **expected, columns=config.columns, needs=())
    require_valid(demonstrations, **expected, max_episode_steps=horizon)
    return demonstrations


def _inputs(config: ExperimentConfig) -> Sequence[str]:
    """Return the fields that the run's discriminator sees; observations and actions if it has none."""
    if config.algo not in ALGORITHMS:
        return STATE_ACTION
    settings = ALGORITHMS[config.algo].settings_from(getattr(config, table_of(config.algo)))
    return getattr(settings, "inputs", STATE_ACTION)
