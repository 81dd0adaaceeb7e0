"""A figure that compares demonstrations: returns, lengths, states, actions and coverage on shared axes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl.spaces import check_same_space
from ganq_irl_demos.checking.fields import Field
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.trajectories import named_spaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#718096")
"""One color per source; more than six are hard to tell apart."""

MAX_STATES, MAX_ACTIONS = 8, 4
"""Maximum number of dimensions with their own panel."""

SAMPLE = 4000
"""Maximum number of evenly spaced rows per source in distributions and coverage."""

MAX_FEATURES = 500


def plot_sets(sets: Sequence[Demonstrations], path: str | os.PathLike[str]) -> Path:
    """Draw up to six sources of demonstrations of one task on shared axes.

    Args:
        sets: demonstrations with equal observation and action spaces.
        path: image to write, atomically; the file extension (.png, .svg, .pdf) determines the format.

    Raises:
        ConfigurationError: none or too many sources, or an unknown file extension.
        IncompatibleSpaces: the spaces differ.
        InvalidDemonstrations: demonstrations without transitions.

    Example:
        >>> plot_sets([demos[:1], demos[1:]], "demos.png").name
        'demos.png'
    """
    from ganq_irl.files import replace_file

    path = Path(path)
    replace_file(path, draw_sets(sets, path.suffix.removeprefix(".")))
    return path


def draw_sets(sets: Sequence[Demonstrations], format: str = "png") -> bytes:
    """Draw the figure of ``plot_sets`` and return the image."""
    from matplotlib.figure import Figure  # not pyplot, which opens windows and has global state

    _check(sets)
    states, actions = (_columns(sets, field) for field in ("observations", "actions"))
    panels = 2 + len(states) + len(actions)
    rows = 1 + -(-panels // 4)
    figure = Figure(figsize=(13, 3 * rows + 1), layout="constrained")
    if format not in figure.canvas.get_supported_filetypes():
        known = ", ".join(sorted(figure.canvas.get_supported_filetypes()))
        raise ConfigurationError(f"a figure cannot be written as {format!r}; known formats: {known}")
    grid = figure.add_gridspec(rows + 1, 4)
    places = (figure.add_subplot(grid[panel // 4, panel % 4]) for panel in range(panels))
    _draw_episodes(next(places), sets, "return", [_returns(one) for one in sets])
    _draw_episodes(next(places), sets, "steps", [np.array([len(t) for t in one], float) for one in sets])
    for name, columns in {**states, **actions}.items():
        _draw_distribution(next(places), name, columns)
    _draw_coverage(figure.add_subplot(grid[rows - 1 :, :]), sets)
    image = io.BytesIO()
    figure.savefig(image, format=format, dpi=100)
    return image.getvalue()


def _check(sets: Sequence[Demonstrations]) -> None:
    if not 1 <= len(sets) <= len(COLORS):
        raise ConfigurationError(f"{len(sets)} sets of demonstrations; 1 to {len(COLORS)} can be drawn side by side")
    for one in sets:
        if not one.n_transitions:
            raise InvalidDemonstrations(f"{one.source} holds no transitions, so there is nothing to draw")
        check_same_space(one.observation_space, sets[0].observation_space, f"{one.source} beside {sets[0].source}")
        check_same_space(one.action_space, sets[0].action_space, f"{one.source} beside {sets[0].source}")


def _returns(demos: Demonstrations) -> np.ndarray:
    return np.zeros(0) if demos.returns is None else demos.returns


def _rows(demos: Demonstrations, name: str) -> np.ndarray:
    """Return evenly spaced rows of a field, ``(rows, dimensions)``, over all trajectories."""
    return Field.of(demos, name).sample(SAMPLE).astype(np.float64)


def _columns(sets: Sequence[Demonstrations], field: str) -> dict[str, list[np.ndarray]]:
    """Return panel -> the values of each source, for as many dimensions as fit; images have none."""
    if field == "actions":
        names, most = ["actions"], MAX_ACTIONS
    else:
        names, most = list(named_spaces(sets[0].observation_space)), MAX_STATES
    columns: dict[str, list[np.ndarray]] = {}
    for name in names:
        rows = [_rows(one, name) for one in sets]
        width = min(part.shape[1] for part in rows)
        if width > 256:
            continue
        for dimension in range(min(width, most - len(columns))):
            columns[f"{name} [{dimension}]" if width > 1 else name] = [part[:, dimension] for part in rows]
    return columns


def _draw_episodes(axes: Axes, sets: Sequence[Demonstrations], what: str, values: list[np.ndarray]) -> None:
    axes.set_title(f"{what} of each episode", fontsize=10)
    for place, found in enumerate(values):
        spread = np.linspace(-0.25, 0.25, len(found)) if len(found) > 1 else np.zeros(len(found))
        axes.plot(place + spread, found, "o", color=COLORS[place], markersize=3, alpha=0.6)
        if len(found):
            axes.plot([place - 0.35, place + 0.35], [found.mean()] * 2, color=COLORS[place])
        else:
            axes.text(place, 0, "no rewards", ha="center", fontsize=8)
    axes.set_xticks(range(len(sets)), [_label(one) for one in sets], fontsize=7)
    axes.set_xlim(-0.5, len(sets) - 0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_distribution(axes: Axes, name: str, columns: list[np.ndarray]) -> None:
    axes.set_title(name, fontsize=10, parse_math=False)
    finite = [column[np.isfinite(column)] for column in columns]
    everything = np.concatenate(finite)
    if everything.size:
        whole = bool((everything == np.rint(everything)).all()) and np.ptp(everything) < 40
        low, high = everything.min(), everything.max()
        edges = np.arange(low - 0.5, high + 1) if whole else np.linspace(low, high if high > low else low + 1, 41)
        for place, column in enumerate(finite):
            weights = np.full(len(column), 1 / max(len(column), 1))
            axes.hist(column, bins=edges.tolist(), weights=weights, histtype="step", color=COLORS[place])
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_coverage(axes: Axes, sets: Sequence[Demonstrations]) -> None:
    """Draw all sources on the two principal components of their union."""
    names = list(named_spaces(sets[0].observation_space))
    flat = [np.concatenate([_rows(one, name) for name in names], axis=1) for one in sets]
    flat = [part[:, :: -(-part.shape[1] // MAX_FEATURES)] for part in flat]
    flat = [part[np.isfinite(part).all(axis=1)] for part in flat]
    points, explained = principal_plane(np.concatenate(flat))
    ends = np.cumsum([len(part) for part in flat])
    for place, part in enumerate(np.split(points, ends[:-1])):
        axes.plot(part[:, 0], part[:, 1], ".", color=COLORS[place], markersize=2, alpha=0.4, label=_label(sets[place]))
    axes.set_title(f"coverage of observations on two principal components ({explained:.0%} of the variance)", fontsize=10)
    legend = axes.legend(frameon=False, markerscale=5, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    axes.spines[["top", "right"]].set_visible(False)


def principal_plane(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Return standardized rows on two principal components, ``(rows, 2)``, and their share of the variance."""
    deviations = rows.std(axis=0) if len(rows) else np.zeros(rows.shape[1])
    varying = rows[:, deviations > 0] / deviations[deviations > 0]
    if min(varying.shape) < 2:
        return np.pad(varying, ((0, 0), (0, 2)))[:, :2], 1.0
    centered = varying - varying.mean(axis=0)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    return centered @ vectors[:, ::-1][:, :2], float(values[-2:].sum() / values.sum())


def _label(demos: Demonstrations) -> str:
    return Path(demos.source).name[:24]
