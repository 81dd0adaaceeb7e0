"""Plots of training: loss, score, predicted against true values, and return distributions.

Each function draws on the given axes or on a new figure; ``save_figure`` writes it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganq_irl.errors import RunDirectoryError
from ganq_irl.evaluation.values import ValueCheck
from ganq_irl.files import read_text, replace_file
from ganq_irl.parsing import check_table

STEPS = "time/total_timesteps"
LARGEST_PROGRESS = 2**30
SCORES = {"eval/mean_reward": "evaluation", "rollout/ep_rew_mean": "training episodes"}


def read_progress(path: Path | str) -> dict[str, np.ndarray]:
    """Read the columns of SB3's ``progress.csv``, each ``(n_rows,)`` float64 with NaN for empty cells.

    Raises:
        RunDirectoryError: the file is missing, or contains values that are not numbers.
    """
    try:
        text = read_text(path, LARGEST_PROGRESS)
        check_table(text, path)
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {key: np.array([float(row[key] or "nan") for row in rows]) for key in (rows[0] if rows else ())}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RunDirectoryError(f"{path} cannot be read ({error}); give the progress.csv of a run of `train`") from error


def curve_of(columns: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values of the rows of ``read_progress`` in which a column has a value; none if there is no column."""
    absent = np.empty(0)
    steps, values = (columns[STEPS], columns[name]) if {STEPS, name} <= columns.keys() else (absent, absent)
    shown = np.isfinite(steps) & np.isfinite(values)
    return steps[shown], values[shown]


def plot_loss(progress: Path | str, axes: Axes | None = None, label: str = "") -> Figure:
    """Plot every logged loss of a run against its steps, each in its own panel because scales differ.

    Args:
        progress: the run's ``progress.csv``.
        axes: draw all losses on these axes instead.
        label: prefix of the names in the legend, if several runs share the axes.

    Raises:
        RunDirectoryError: the file cannot be read or contains no loss.
    """
    columns = read_progress(progress)
    curves = _curves(progress, columns, {name: name for name in columns if name.endswith("loss")}, what="loss")
    panels = _new_panels(len(curves)) if axes is None else [axes] * len(curves)
    for panel, (name, curve) in zip(panels, curves.items(), strict=True):
        panel.plot(*curve, label=f"{label} {name}".strip())
        panel.set(xlabel="environment steps", title=name if axes is None else "loss")
    return figure_of(panels[0])


def plot_score(progress: Path | str, axes: Axes | None = None, label: str = "") -> Figure:
    """Plot the true return of evaluations and of training episodes against a run's steps.

    Args:
        progress: the run's ``progress.csv``.
        axes: axes to draw on.
        label: prefix of the names in the legend, if several runs share the axes.

    Raises:
        RunDirectoryError: the file cannot be read or contains no score.
    """
    curves = _curves(progress, read_progress(progress), SCORES, what="score")
    axes = _new_panels(1)[0] if axes is None else axes
    for name, curve in curves.items():
        axes.plot(*curve, label=f"{label} {name}".strip())
    axes.set(xlabel="environment steps", ylabel="mean return", title="score")
    axes.legend(frameon=False)
    return figure_of(axes)


def plot_values(check: ValueCheck, axes: Axes | None = None, label: str = "") -> Figure:
    """Plot predicted values against Monte Carlo returns, one dot per visited pair, with the diagonal.

    Args:
        check: result of ``check_values``.
        axes: axes to draw on.
        label: name of the dots in the legend.
    """
    axes = _new_panels(1)[0] if axes is None else axes
    axes.plot(check.returns, check.predicted, ".", markersize=3, alpha=0.3, label=label or None)
    middle = float(check.returns.mean())
    axes.axline((middle, middle), slope=1, color="black", linestyle="--", linewidth=1)
    axes.set(xlabel="true Q: Monte Carlo return", ylabel="predicted Q", title="predicted against true Q")
    if label:
        axes.legend(frameon=False, markerscale=4)
    else:
        text = f"bias {check.bias:.3g}, mean absolute error {check.mean_absolute_error:.3g}"
        axes.text(0.03, 0.97, text, transform=axes.transAxes, verticalalignment="top")
    return figure_of(axes)


def plot_return_histograms(samples: Mapping[str, np.ndarray], returns: Mapping[str, np.ndarray], bins: int = 60) -> Figure:
    """Plot predicted return distributions, one panel each, with the observed returns.

    Args:
        samples: name of an action or pair -> samples of its predicted distribution, ``(n_samples,)``.
        returns: the same names -> Monte Carlo returns, ``(n_returns,)``; names may be missing.
        bins: number of bins, shared by both histograms.
    """
    figure = Figure(figsize=(3.6 * len(samples), 3), layout="constrained")
    panels = figure.subplots(1, len(samples), squeeze=False)[0]
    for axes, (name, predicted) in zip(panels, samples.items(), strict=True):
        seen = returns.get(name, np.empty(0))
        edges = np.histogram_bin_edges(np.concatenate([predicted, seen]), bins)
        axes.hist(predicted, edges, density=True, alpha=0.6, label="predicted")
        if len(seen):
            axes.hist(seen, edges, density=True, histtype="step", color="black", label="Monte Carlo")
        axes.set(title=name, xlabel="return", yticks=[])
    panels[0].legend(frameon=False)
    return figure


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure atomically, as PDF if ``path`` ends in .pdf, otherwise as PNG."""
    content, path = io.BytesIO(), Path(path)
    if path.suffix == ".pdf":
        figure.savefig(content, format="pdf", metadata={"CreationDate": None})  # equal figures give equal files
    else:
        figure.savefig(content, format="png", dpi=150)
    replace_file(path, content.getvalue())
    return path


def _curves(
    progress: Path | str, columns: Mapping[str, np.ndarray], names: Mapping[str, str], what: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return title -> steps and values, for columns with finite values."""
    found = {title: curve_of(columns, name) for name, title in names.items()}
    curves = {title: curve for title, curve in found.items() if len(curve[0])}
    if not curves:
        raise RunDirectoryError(f"{progress} contains no {what} to plot; train for longer, or with --set evaluation.every=N")
    return curves


def _new_panels(count: int) -> list[Axes]:
    return list(Figure(figsize=(5 * count, 3.6), layout="constrained").subplots(1, count, squeeze=False)[0])


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes belong to."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure
