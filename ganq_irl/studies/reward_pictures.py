"""Pictures of a recovered reward: map, course along an episode, and calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from matplotlib.figure import Figure
from torch import Tensor

from ganq_irl.evaluation.pictures import save_figure
from ganq_irl.evaluation.reward_pictures import plot_calibration, plot_reward_maps, plot_rewards_along_episode
from ganq_irl.rewards import RewardFunction, RewardModel, rewards_of
from ganq_irl.runs.rewards import StoredReward, env_kwargs_of
from ganq_irl.studies.reward_comparison import Transitions, known_reward
from ganq_irl.types import Batch

MAP_PICTURE, EPISODE_PICTURE, CALIBRATION_PICTURE = "map.png", "episode.png", "calibration.png"


def draw_reward(
    stored: StoredReward,
    env: str | None,
    transitions: Mapping[str, Transitions],
    folder: Path,
    dimensions: tuple[int, int] = (0, 1),
) -> list[Path]:
    """Write ``map.png``, ``episode.png`` and ``calibration.png``, except those in ``undrawable``; replace old ones.

    Args:
        stored: the reward.
        env: its environment; that of the run by default.
        transitions: the result of ``gather_transitions``.
        folder: created if missing.
        dimensions: the two observation dimensions of the map.

    Returns:
        The files written.

    Raises:
        ConfigurationError: the observations do not have these dimensions.
    """
    draw: dict[str, Callable[[], Figure]] = {
        MAP_PICTURE: lambda: _draw_map(stored, env, transitions, dimensions),
        EPISODE_PICTURE: lambda: _draw_episode(stored, transitions),
        CALIBRATION_PICTURE: lambda: _draw_calibration(stored.reward, transitions),
    }
    left_out = undrawable(stored, transitions)
    return [save_figure(figure(), folder / name) for name, figure in draw.items() if name not in left_out]


def undrawable(stored: StoredReward, transitions: Mapping[str, Transitions]) -> dict[str, str]:
    """Return each picture that cannot be drawn for this reward -> the reason."""
    if not transitions:
        return dict.fromkeys((MAP_PICTURE, EPISODE_PICTURE, CALIBRATION_PICTURE), "no environment is known; give --env ID")
    reasons = {}
    space, reward = stored.reward.observation_space, stored.reward
    if not (isinstance(space, spaces.Box) and len(space.shape) == 1 and space.shape[0] > 1):
        reasons[MAP_PICTURE] = f"it needs observations that are vectors of two numbers or more, not {space}"
    absent = [name for name in ("policy", "demonstrations") if name not in transitions]
    if not isinstance(reward, RewardModel):
        reasons[CALIBRATION_PICTURE] = "it is of a discriminator, and this reward has none"
    elif reward.discriminator.outputs_log_ratio:
        reasons[CALIBRATION_PICTURE] = "AIRL's probabilities need the policy that the reward was trained with"
    elif not reward.loss.has_log_ratio:
        reasons[CALIBRATION_PICTURE] = f"scores under the loss {reward.loss.name!r} are no probabilities"
    elif absent:
        reasons[CALIBRATION_PICTURE] = f"there is no run with its {' and '.join(absent)}"
    return reasons


def _draw_map(
    stored: StoredReward, env: str | None, transitions: Mapping[str, Transitions], dimensions: tuple[int, int]
) -> Figure:
    true = known_reward(env or str(stored.env), env_kwargs_of(stored, env))
    rewards: dict[str, RewardFunction] = {"recovered": stored.reward} | ({} if true is None else {"true": true})
    demonstrated = transitions.get("demonstrations")
    dots = None
    if demonstrated is not None:
        assert isinstance(demonstrated.batch.observations, Tensor)
        dots = demonstrated.batch.observations.numpy()[:5000]
    visited = Batch.cat([one.batch for one in transitions.values()])
    return plot_reward_maps(rewards, visited, dimensions, demonstrations=dots)


def _draw_episode(stored: StoredReward, transitions: Mapping[str, Transitions]) -> Figure:
    """Plot the first episode of the policy, or of random actions if there is no policy."""
    origin = transitions["policy" if "policy" in transitions else "random"]
    episode = origin.batch[: origin.first_length]
    rewards = {"recovered": rewards_of(stored.reward, episode)}
    if origin.rewards is not None:
        rewards["true"] = origin.rewards[: origin.first_length]
    return plot_rewards_along_episode(rewards)


def _draw_calibration(reward: Any, transitions: Mapping[str, Transitions]) -> Figure:
    """Plot the calibration of a discriminator whose score is a probability."""
    sides = [transitions[name].batch for name in ("demonstrations", "policy")]
    n = min(map(len, sides))  # equally many of each
    sides = [side[torch.linspace(0, len(side) - 1, n).long()] for side in sides]
    said = torch.cat([reward.probability(side).cpu() for side in sides]).numpy()
    return plot_calibration(said, np.arange(2 * n) < n)
