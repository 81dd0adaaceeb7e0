"""The distance of a policy from demonstrations that were kept from training: a score that needs no reward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ganq_irl.discriminator.inputs import STATE_ACTION, InputEncoder
from ganq_irl.errors import ConfigurationError
from ganq_irl_demos import Demonstrations

FEWEST = 2
"""Fewest episodes of each side, since the episodes of a side are also compared with each other."""
_MOST_ROWS = 2000
_MOST_NUMBERS = 1 << 24  # of one side, 128 MiB


@dataclass(frozen=True)
class HeldoutDistance:
    """Distance of a policy's episodes from held-out demonstrations.

    Attributes:
        distance: 0 if nothing tells the policy from the expert, 1 if they have nothing in common. The estimate can be
            slightly negative, since it is not biased upward where the true distance is 0.
        interval: 95 % confidence interval over the episodes of both sides.
        demonstrations: number of held-out demonstrations.

    Example:
        >>> from ganq_irl_demos import load_demonstrations
        >>> demonstrations = load_demonstrations("cartpole")
        >>> found = heldout_distance(demonstrations[:10], demonstrations[10:])
        >>> found.interval[0] < found.distance < found.interval[1], found.demonstrations
        (True, 10)
    """

    distance: float
    interval: tuple[float, float]
    demonstrations: int


def heldout_distance(
    demonstrations: Demonstrations, played: Demonstrations, *, inputs: Sequence[str] = STATE_ACTION
) -> HeldoutDistance:
    """Return the normalized energy distance between two sets of episodes.

    For rows x of the expert and y of the policy it is 1 - (E|x-x'| + E|y-y'|) / 2 E|x-y| (Székely & Rizzo, 2013). Rows are
    encoded like those of a discriminator, in standard deviations of the demonstrations. No network is trained, so there is
    nothing to overfit or to tune, and policies that are easily told from the expert still differ in their distance, where
    the accuracy of a discriminator would be 1 for all. x and x' come from different episodes, since neighbors look alike.

    All episodes have the same weight. One that terminates before the longest demonstration does stays in an absorbing state
    until then, as in DAC, so that a policy that fails early does not look like the beginning of a demonstration.

    Args:
        demonstrations: at least two, which the policy did not learn from.
        played: episodes of the policy in the same spaces, at least two.
        inputs: fields to compare; those that the demonstrations lack are left out.

    Raises:
        ConfigurationError: a side has fewer than two episodes, or no field is left.
        IncompatibleSpaces: the spaces cannot be encoded, or the two sides differ.

    Example:
        >>> from ganq_irl_demos import load_demonstrations
        >>> demonstrations = load_demonstrations("pendulum")
        >>> heldout_distance(demonstrations[:10], demonstrations[10:]).distance < 0.05
        True
    """
    for name, side in {"held-out demonstrations": demonstrations, "episodes of the policy": played}.items():
        if len(side) < FEWEST:
            raise ConfigurationError(f"given {len(side)} {name}; expected at least {FEWEST}")
    fields = [name for name in inputs if name not in {*demonstrations.missing, "dones", "absorbing"}]
    encoder = InputEncoder(demonstrations.observation_space, demonstrations.action_space, [*fields, "absorbing"])
    encoder.fit(demonstrations.to_batch())
    horizon = max(map(len, demonstrations))
    episodes = [*_episodes(demonstrations, encoder, horizon), *_episodes(played, encoder, horizon)]
    return _normalized_energy(_mean_distances(episodes), len(demonstrations))


def _episodes(side: Demonstrations, encoder: InputEncoder, horizon: int) -> list[tuple[Tensor, Tensor]]:
    """Return evenly spaced rows of each episode, ``(n_rows, dim)`` float64, and their weights, which sum to 1."""
    most = max(1, min(_MOST_ROWS, _MOST_NUMBERS // encoder.dim) // len(side))
    batch, start, episodes = side.to_batch(), 0, list[tuple[Tensor, Tensor]]()
    for trajectory in side:
        length = len(trajectory)
        chosen = start + torch.linspace(0, length - 1, min(length, most), dtype=torch.float64).round().long()
        start += length
        rows = encoder(batch[chosen]).features.double()
        absorbed = max(0.0, 1 - length / horizon) if trajectory.terminated else 0.0
        weights = torch.full((len(rows),), (1 - absorbed) / len(rows), dtype=torch.float64)
        if absorbed:
            rows = torch.cat([rows, encoder.absorbing_state.double().unsqueeze(0)])
            weights = torch.cat([weights, weights.new_tensor([absorbed])])
        episodes.append((rows, weights))
    return episodes


def _mean_distances(episodes: Sequence[tuple[Tensor, Tensor]]) -> np.ndarray:
    """Return the mean distance between the rows of each two episodes, ``(n, n)``, symmetric, with zeros on the diagonal."""
    found = np.zeros((len(episodes), len(episodes)))
    for i, (rows, weights) in enumerate(episodes):
        for j in range(i + 1, len(episodes)):
            others, other_weights = episodes[j]
            found[i, j] = found[j, i] = float(weights @ torch.cdist(rows, others) @ other_weights)
    return found


def _normalized_energy(distances: np.ndarray, n: int) -> HeldoutDistance:
    """Compute the distance of the first ``n`` episodes from the others, and its interval by the delta method."""
    expert, policy, across = distances[:n, :n], distances[n:, n:], distances[:n, n:]
    sides = [
        (side.sum(axis=1) / (len(side) - 1), to_other)  # means over the other episodes of its side, and of the other side
        for side, to_other in [(expert, across.mean(axis=1)), (policy, across.mean(axis=0))]
    ]
    cross, within = float(across.mean()), float(sum(own.mean() for own, _ in sides))
    if cross == 0:
        return HeldoutDistance(0.0, (0.0, 0.0), n)
    distance = 1 - within / (2 * cross)
    variances = []
    for own, other in sides:
        influence = (within / cross * (other - cross) - 2 * (own - own.mean())) / (2 * cross)
        variances.append(float(np.sum(influence**2)) / (len(own) * (len(own) - 1)))
    half = _half_width(variances, [len(own) for own, _ in sides])
    return HeldoutDistance(distance, (distance - half, min(1.0, distance + half)), n)


def _half_width(variances: Sequence[float], counts: Sequence[int]) -> float:
    """Return half of Welch's 95 % interval for a sum of two independent estimates."""
    total = sum(variances)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(variance**2 / (count - 1) for variance, count in zip(variances, counts, strict=True))
    return float(special.stdtrit(freedom, 0.975) * math.sqrt(total))
