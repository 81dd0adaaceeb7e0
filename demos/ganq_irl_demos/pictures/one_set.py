"""A figure that summarises a set of demonstrations."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.trajectories import named_spaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_POINTS = 4000
"""Observations drawn in the coverage panel, evenly spread over the data."""

MAX_FEATURES = 500
"""Dimensions of an observation that enter the coverage panel; of larger ones, images above all, every k-th does."""

MAX_LINES = 8
"""Dimensions of an action drawn apart."""

MUTED, MAIN = "#9aa5b1", "#2b6cb0"


def plot_summary(demos: Demonstrations, path: str | os.PathLike[str]) -> Path:
    """Draw returns, lengths, actions, and coverage of the observations by their two principal components.

    Args:
        demos: the demonstrations.
        path: image to write, atomically; the suffix (.png, .svg, .pdf) gives the format.

    Returns:
        The path.

    Raises:
        ConfigurationError: matplotlib cannot write files of this suffix.
        InvalidDemonstrations: there are no transitions.
    """
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    from ganq_irl.files import replace_file

    path = Path(path)
    figure = Figure(figsize=(10, 7), layout="constrained")
    known = figure.canvas.get_supported_filetypes()
    suffix = path.suffix.removeprefix(".")
    if suffix not in known:
        raise ConfigurationError(f"{path}: a figure cannot be written as {suffix!r}; known: {', '.join(sorted(known))}")
    if not demos.n_transitions:
        raise InvalidDemonstrations(f"{demos.source} holds no transitions, so there is nothing to draw")
    _draw(demos, figure)
    image = io.BytesIO()
    figure.savefig(image, format=suffix, dpi=120)
    replace_file(path, image.getvalue())
    return path


def _draw(demos: Demonstrations, figure: Figure) -> None:
    arrays = demos.arrays
    (returns, lengths), (actions, coverage) = figure.subplots(2, 2)
    title = f"{demos.source}: {len(demos)} episodes of {demos.env_id or 'an unnamed environment'}"
    figure.suptitle(title, parse_math=False)  # a dollar sign in a file's name is no formula
    _draw_episodes(returns, demos.returns, "return")
    _draw_episodes(lengths, arrays["lengths"], "steps")
    _draw_actions(actions, arrays["actions"])
    _draw_coverage(coverage, arrays, list(named_spaces(demos.observation_space)))
    for axes in (returns, lengths, actions, coverage):
        axes.spines[["top", "right"]].set_visible(False)


def _draw_episodes(axes: Axes, values: np.ndarray | None, what: str) -> None:
    axes.set(title=f"{what.capitalize()} of each episode", xlabel="episode", ylabel=what)
    if values is None:
        axes.text(0.5, 0.5, "no rewards recorded", ha="center", va="center", transform=axes.transAxes, color=MUTED)
        return
    axes.plot(values, "o", color=MAIN, markersize=4)
    axes.axhline(float(np.mean(values)), color=MUTED, linestyle="--", label=f"mean {np.mean(values):.4g}")
    axes.legend(frameon=False)


def _draw_actions(axes: Axes, actions: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    columns = actions.reshape(len(actions), -1)
    shown = columns.T[:MAX_LINES]
    beyond = f" (first {MAX_LINES} of {columns.shape[1]} dimensions)" if columns.shape[1] > MAX_LINES else ""
    axes.set(title=f"Actions{beyond}", xlabel="action", ylabel="share of steps")
    for dimension, column in enumerate(shown):
        if actions.dtype.kind in "iub":
            values, counts = np.unique(column, return_counts=True)
            width = 0.8 / len(shown)
            axes.bar(values + (dimension - (len(shown) - 1) / 2) * width, counts / len(column), width, label=str(dimension))
        else:
            finite = column[np.isfinite(column)]
            weights = np.full(len(finite), 1 / max(len(finite), 1))
            axes.hist(finite, bins=40, weights=weights, histtype="stepfilled", alpha=0.5, label=str(dimension))
    if actions.dtype.kind in "iub":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(shown) > 1:
        axes.legend(title="dimension", frameon=False, ncols=2)


def _draw_coverage(axes: Axes, arrays: dict[str, np.ndarray], names: list[str]) -> None:
    points, progress, explained = _project(arrays, names)
    axes.set(title=f"Coverage of observations{explained}", xlabel="first component", ylabel="second component")
    drawn = axes.scatter(points[:, 0], points[:, 1], c=progress, s=4, cmap="viridis", vmin=0, vmax=1)
    axes.figure.colorbar(drawn, ax=axes, label="progress of the episode")


def _project(arrays: dict[str, np.ndarray], names: list[str]) -> tuple[np.ndarray, np.ndarray, str]:
    """Observations on their first two principal components.

    Returns:
        ``(points, 2)``; ``(points,)`` how far into its episode each one is, 0 to 1; a phrase on the variance explained.
    """
    progress = np.concatenate([np.linspace(0, 1, steps + 1) for steps in arrays["lengths"]])
    chosen = np.unique(np.linspace(0, len(progress) - 1, MAX_POINTS).astype(int))
    flat = np.concatenate([arrays[name][chosen].reshape(len(chosen), -1) for name in names], axis=1)
    flat = flat[:, :: -(-flat.shape[1] // MAX_FEATURES)].astype(np.float64)
    whole = np.isfinite(flat).all(axis=1)
    flat, progress = flat[whole], progress[chosen][whole]
    deviations = flat.std(axis=0) if len(flat) else np.zeros(flat.shape[1])
    varying = flat[:, deviations > 0] / deviations[deviations > 0]
    if min(varying.shape) < 2:
        return np.pad(varying, ((0, 0), (0, 2)))[:, :2], progress, ""
    left, singular, _ = np.linalg.svd(varying - varying.mean(axis=0), full_matrices=False)
    explained = (singular[:2] ** 2).sum() / (singular**2).sum()
    return left[:, :2] * singular[:2], progress, f" ({explained:.0%} of the variance)"
