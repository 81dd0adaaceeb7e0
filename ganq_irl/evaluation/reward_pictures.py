"""Plots of a recovered reward: over two state dimensions, along an episode, and the calibration of its discriminator.

Recovered rewards have an arbitrary offset and scale, so each is standardized before it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.evaluation.pictures import figure_of
from ganq_irl.rewards import RewardFunction, rewards_of
from ganq_irl.types import Batch

GRID = 41


def reward_map(
    reward: RewardFunction,
    visited: Batch,
    dimensions: tuple[int, int] = (0, 1),
    *,
    average: bool = True,
    action: Any = None,
    n_grid: int = GRID,
    n_states: int = 64,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a reward over two state dimensions, from the lowest to the highest visited value.

    At each grid point, the two dimensions of visited states are replaced. Their other dimensions, the differences to their
    next states, and their actions are kept, and the rewards are averaged.

    Args:
        reward: a reward over flat Box observations.
        visited: transitions that provide the other dimensions and the actions.
        dimensions: indices of the state dimensions for x and y.
        average: whether to average over up to ``n_states`` visited states; False fixes the other dimensions at their median.
        action: one action for all points, instead of the visited ones.
        n_grid: number of points on each axis.
        n_states: number of visited states to average over, evenly spaced among the rows.

    Returns:
        x ``(n_grid,)``, y ``(n_grid,)`` and the rewards ``(n_grid, n_grid)``, rows along y.

    Raises:
        IncompatibleSpaces: observations are not vectors of at least two numbers.
        ConfigurationError: the dimensions are not two different valid indices, or there are no transitions.
    """
    states, following = _vectors(reward, visited, dimensions)
    chosen = np.unique(np.linspace(0, len(states) - 1, n_states).astype(int))
    here, steps, actions = states[chosen], following[chosen] - states[chosen], visited.actions.cpu()[chosen]
    if not average:
        here = np.median(states, axis=0, keepdims=True).repeat(len(chosen), axis=0)
    if action is not None:
        actions = torch.as_tensor(np.asarray(action)).expand(len(chosen), *np.shape(action))
    x, y = (np.linspace(states[:, d].min(), states[:, d].max(), n_grid) for d in dimensions)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)  # (n_grid², 2), y slowest
    moved = np.repeat(here[None], len(points), axis=0)  # (n_grid², n_chosen, state)
    moved[..., list(dimensions)] = points[:, None]
    batch = Batch(
        _tensor(moved.reshape(-1, states.shape[1])),
        actions.repeat(len(points), *[1] * (actions.ndim - 1)),
        _tensor((moved + steps).reshape(-1, states.shape[1])),
        torch.zeros(moved.shape[0] * moved.shape[1]),
    )
    return x, y, rewards_of(reward, batch).reshape(n_grid, n_grid, -1).mean(axis=2)


def plot_reward_maps(
    rewards: Mapping[str, RewardFunction],
    visited: Batch,
    dimensions: tuple[int, int] = (0, 1),
    *,
    demonstrations: np.ndarray | None = None,
    names: tuple[str, str] | None = None,
    **options: Any,
) -> Figure:
    """Plot rewards side by side as heat maps, for example a recovered one and the true one.

    Args:
        rewards: title -> reward.
        visited: as in ``reward_map``.
        dimensions: as in ``reward_map``.
        demonstrations: states ``(n, width)``, drawn as dots.
        names: names of the two axes.
        options: ``average``, ``action``, ``n_grid`` and ``n_states`` of ``reward_map``.

    Raises:
        IncompatibleSpaces: as ``reward_map``.
        ConfigurationError: as ``reward_map``.
    """
    figure = Figure(figsize=(4 * len(rewards), 3.6), layout="constrained")
    labels = names or tuple(f"state[{d}]" for d in dimensions)
    for axes, (title, reward) in zip(figure.subplots(1, len(rewards), squeeze=False)[0], rewards.items(), strict=True):
        x, y, values = reward_map(reward, visited, dimensions, **options)
        image = axes.pcolormesh(x, y, _standardized(values), shading="nearest", cmap="viridis", rasterized=True)
        if demonstrations is not None:
            axes.plot(*demonstrations[:, list(dimensions)].T, ".", color="white", markersize=1.5, alpha=0.4)
        axes.set(title=title, xlabel=labels[0], ylabel=labels[1], xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axes.label_outer()
        figure.colorbar(image, ax=axes)
    return figure


def plot_rewards_along_episode(rewards: Mapping[str, np.ndarray], axes: Axes | None = None) -> Figure:
    """Plot the rewards of one episode.

    Args:
        rewards: name -> ``(n_steps,)``, for example the recovered and the true rewards.
        axes: axes to draw on.
    """
    axes = Figure(figsize=(7, 3.2), layout="constrained").subplots() if axes is None else axes
    for name, values in rewards.items():
        axes.plot(_standardized(np.asarray(values, float)), label=name, linewidth=1)
    axes.set(xlabel="step", ylabel="reward, in deviations", title="reward along an episode")
    axes.legend(frameon=False)
    return figure_of(axes)


def reliability(probabilities: np.ndarray, is_real: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute a reliability diagram of a discriminator (Guo et al., 2017): the share of real rows by the predicted D.

    Args:
        probabilities: D, ``(n,)`` in [0, 1].
        is_real: ``(n,)`` bool; use as many real as fake rows, the balance that D is trained on.
        bins: number of intervals of D; empty ones are left out.

    Returns:
        Mean D, share of real rows, and number of rows in each interval.
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    kept = counts > 0
    said, real = (np.bincount(index, values, bins)[kept] / counts[kept] for values in (probabilities, is_real))
    return said, real, counts[kept]


def calibration_error(probabilities: np.ndarray, is_real: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error: the mean of |share of real rows - D| over rows, from 0 to 1."""
    said, real, counts = reliability(probabilities, is_real, bins)
    return float(np.abs(real - said) @ counts / counts.sum())


def plot_calibration(probabilities: np.ndarray, is_real: np.ndarray, axes: Axes | None = None, bins: int = 10) -> Figure:
    """Plot the reliability curve of a discriminator, with the diagonal of a calibrated one.

    After perfect imitation a discriminator outputs 1/2 everywhere and is calibrated. A confident but wrong discriminator
    indicates a reward that is overfitted to few transitions.

    Args:
        probabilities: D of real and fake rows, ``(n,)``.
        is_real: ``(n,)`` bool.
        axes: axes to draw on.
        bins: as in ``reliability``.
    """
    axes = Figure(figsize=(4.2, 3.8), layout="constrained").subplots() if axes is None else axes
    said, real, counts = reliability(probabilities, is_real, bins)
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1)
    axes.plot(said, real, color="tab:blue", linewidth=1)
    axes.scatter(said, real, s=10 + 150 * counts / counts.max(), color="tab:blue", alpha=0.6)
    error = calibration_error(probabilities, is_real, bins)
    axes.set(xlabel="D, said to be real", ylabel="share that is real", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_title(f"calibration of the discriminator, error {error:.2f}")
    return figure_of(axes)


def _vectors(reward: RewardFunction, visited: Batch, dimensions: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    space = reward.observation_space
    if not isinstance(space, spaces.Box) or len(space.shape) != 1 or space.shape[0] < 2:
        raise IncompatibleSpaces(f"a reward map needs flat Box observations with two or more numbers; given {space}")
    if len(set(dimensions)) != 2 or not all(0 <= d < space.shape[0] for d in dimensions) or len(visited) == 0:
        raise ConfigurationError(
            f"given dimensions {tuple(dimensions)} and {len(visited)} transitions; expected two different dimensions from 0 "
            f"to {space.shape[0] - 1}, and transitions to take the others from"
        )
    assert isinstance(visited.observations, Tensor)
    assert isinstance(visited.next_observations, Tensor)
    return visited.observations.cpu().double().numpy(), visited.next_observations.cpu().double().numpy()


def _tensor(states: np.ndarray) -> Tensor:
    return torch.as_tensor(states.astype(np.float32))


def _standardized(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (values.std() + 1e-12)
