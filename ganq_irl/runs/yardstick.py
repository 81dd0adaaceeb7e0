"""Reference returns for a run's policy: those of its demonstrations and of random actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ganq_irl.evaluation.rollouts import random_returns
from ganq_irl.runs.config import ExperimentConfig

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations


@dataclass(frozen=True)
class Play:
    """Summary of a set of episodes.

    Attributes:
        episodes: number of episodes.
        mean_return: mean return; None if rewards are unknown.
        mean_length: mean number of steps.
    """

    episodes: int
    mean_return: float | None
    mean_length: float


@dataclass(frozen=True)
class Yardstick:
    """Summaries of the demonstrations that a run learned from, and of random actions in its environment."""

    demonstrations: Play
    random: Play

    def to_json(self) -> dict[str, Any]:
        """Return both as JSON values."""
        return asdict(self)


def measure_yardstick(config: ExperimentConfig, demonstrations: Demonstrations) -> Yardstick:
    """Summarize the demonstrations, and as many episodes of random actions as an evaluation has."""
    evaluation = config.evaluation
    random = random_returns(config.env, evaluation.episodes, seed=evaluation.seed, env_kwargs=config.env_kwargs)
    lengths = [len(trajectory) for trajectory in demonstrations]
    return Yardstick(_play(demonstrations.returns, np.array(lengths)), _play(random.returns, random.lengths))


def yardstick_of(info: Mapping[str, Any]) -> Yardstick | None:
    """Read the yardstick from the content of a ``run.json``; None if there is none or it is malformed."""
    match info.get("yardstick"):
        case {"demonstrations": dict(shown), "random": dict(random)}:
            try:
                return Yardstick(_read(shown), _read(random))
            except (KeyError, TypeError, ValueError):
                return None
    return None


def references_for(config: ExperimentConfig, yardstick: Yardstick | None) -> tuple[float, float] | None:
    """Return the mean returns that a normalized score maps to 0 and 1, or None if unknown.

    They come from the catalog if it has the environment and no keywords change it, else from random actions and the
    demonstrations if the latter are known to be better.
    """
    from ganq_irl_demos.catalog import catalog, reference_returns

    known = None if config.env_kwargs else reference_returns(config.env)
    if known is not None or yardstick is None:
        return known
    is_of_another_scale = bool(config.env_kwargs) and config.demos in catalog()
    random, shown = yardstick.random.mean_return, yardstick.demonstrations.mean_return
    if is_of_another_scale or random is None or shown is None or not random < shown:
        return None
    return random, shown


def _play(returns: np.ndarray | None, lengths: np.ndarray) -> Play:
    return Play(len(lengths), None if returns is None else float(returns.mean()), float(lengths.mean()))


def _read(play: Mapping[str, Any]) -> Play:
    returned = play["mean_return"]
    return Play(int(play["episodes"]), None if returned is None else float(returned), float(play["mean_length"]))
