"""The two pictures of the quickstart: true return during training, and recovered rewards next to the true one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

GRID = 101
COLORS = {"GAIL": "tab:blue", "AIRL": "tab:orange", "frozen control": "tab:red", "BC": "tab:purple", "GAN-Q": "tab:green"}
_REACH = 5.0
"""Deviation, in cells of the grid, of the neighborhood in which a state counts as visited."""
_LINES = {"expert": ("black", "--"), "BC": (COLORS["BC"], "-."), "random": ("gray", ":")}


def pendulum_grid() -> np.ndarray:
    """Return observations (cos θ, sin θ, θ') over all angles and velocities: ``(GRID², 3)`` float32, angles vary fastest."""
    angle, velocity = np.meshgrid(np.linspace(-np.pi, np.pi, GRID), np.linspace(-8, 8, GRID))
    return np.stack([np.cos(angle), np.sin(angle), velocity], axis=-1).reshape(-1, 3).astype(np.float32)


def draw_returns(path: Path, curves: Mapping[str, np.ndarray], levels: Mapping[str, float]) -> None:
    """Draw learning curves, ``(n, 2)`` of steps and return, and horizontal lines at the given levels."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(curve[:, 0], curve[:, 1], color=COLORS[name], label=name)
    for name, level in levels.items():
        color, style = _LINES[name]
        axes.axhline(level, color=color, linestyle=style, label=name)
    title = "Pendulum: imitators never see the reward, GAN-Q does"
    axes.set(xlabel="environment steps", ylabel="mean true return", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=150)


def draw_rewards(path: Path, recovered: Mapping[str, tuple[np.ndarray, np.ndarray]], visited: np.ndarray) -> None:
    """Draw the true reward and each recovered one over angle and velocity; they fade where there are no demonstrations.

    Args:
        path: the file to write.
        recovered: name -> recovered and true reward on ``pendulum_grid()``, for the actions of that run's policy.
        visited: observations of the demonstrations, ``(n, 3)``, drawn as dots.
    """
    true = next(iter(recovered.values()))[1]
    panels = {"true reward": true, **{f"recovered by {name}": reward for name, (reward, _) in recovered.items()}}
    figure = Figure(figsize=(4 * len(panels), 3.8), layout="constrained")
    for axes, (title, reward) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        _draw_reward(axes, title, reward, visited)
    figure.suptitle("units: each one's deviation; dots: demonstrated states; faded: no data, so a guess", fontsize=9)
    figure.savefig(path, dpi=150)


def data_density(visited: np.ndarray) -> np.ndarray:
    """Return how well each point of the grid is covered by data, ``(GRID, GRID)`` in [0, 1]; 1 at every visited state.

    Args:
        visited: observations (cos θ, sin θ, θ'), ``(n, 3)``.
    """
    bounds = ((-8.0, 8.0), (-np.pi, np.pi))
    counts, _, _ = np.histogram2d(visited[:, 2], np.arctan2(visited[:, 1], visited[:, 0]), bins=GRID, range=bounds)
    near = gaussian_filter(counts, _REACH, mode=("constant", "wrap"))  # angles wrap around, velocities do not
    return np.minimum(near * 2 * np.pi * _REACH**2, 1.0)


def _draw_reward(axes: Axes, title: str, reward: np.ndarray, visited: np.ndarray) -> None:
    density = data_density(visited)
    weights = density.ravel()
    mean = np.average(reward, weights=weights)
    standardized = (reward - mean) / (np.sqrt(np.average((reward - mean) ** 2, weights=weights)) + 1e-12)
    low, high = np.quantile(standardized[weights > 0.5], (0.01, 0.99))
    image = axes.imshow(
        standardized.reshape(GRID, GRID),
        origin="lower",
        extent=(-np.pi, np.pi, -8.0, 8.0),
        aspect="auto",
        cmap=matplotlib.colormaps["viridis"],
        vmin=low,
        vmax=high,
        alpha=np.maximum(density, 0.1),
    )
    axes.plot(np.arctan2(visited[:, 1], visited[:, 0]), visited[:, 2], ".", color="white", markersize=1, alpha=0.3)
    axes.set(title=title, xlabel="angle from upright", ylabel="angular velocity")
    axes.label_outer()
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes)
