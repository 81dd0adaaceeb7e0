"""The main figures of a grid as files, for papers and pages: learning curves, profiles, chances of ending higher."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganq_irl.errors import RunDirectoryError, usable_path
from ganq_irl.evaluation.pictures import save_figure
from ganq_irl.experiment.compare import Conclusion
from ganq_irl.experiment.report_data import Values, chart_data

FORMATS = ("png", "pdf")
_PANEL = (3.6, 2.9)  # inches
_BESIDE = 1.6  # inches for a legend


def write_figures(conclusion: Conclusion, folder: Path | str) -> list[Path]:
    """Write what the page draws to ``folder``: ``curves``, ``profiles`` and ``improvement``, each as PNG and as PDF.

    Returns:
        The files; those of a figure that the results have nothing for are left out.

    Raises:
        RunDirectoryError: ``folder`` is a file.
        ConfigurationError: no folder can have that name.
    """
    folder = usable_path(folder)
    if folder.exists() and not folder.is_dir():
        raise RunDirectoryError(f"{folder} is a file; give a folder for the figures")
    data = chart_data(conclusion)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"curves": draw_curves(data), "profiles": draw_profiles(data), "improvement": draw_improvement(data)}
    paths = {folder / f"{name}.{suffix}": figure for name, figure in drawn.items() if figure for suffix in FORMATS}
    for path, figure in paths.items():
        save_figure(figure, path)
    return list(paths)


def draw_curves(data: Values) -> Figure | None:
    """Learning curves: a row a protocol, a column an environment; bands are of the interquartile mean over runs."""
    lines = [*data["curves"], *data["levels"]]
    protocols, envs = _protocols(data, lines), _distinct(line["env"] for line in lines)
    if not lines:
        return None
    figure, panels = _panels(len(protocols), len(envs))
    for row, protocol in zip(panels, protocols, strict=True):
        for axes, env in zip(row, envs, strict=True):
            _draw_lines(axes, data, [line for line in _of(data, lines, protocol) if line["env"] == env])
            axes.set(title=env, xlabel="environment steps")
        row[0].set_ylabel(f"return, {protocol}")
        _legend(row)
    return figure


def _draw_lines(axes: Axes, data: Values, lines: Sequence[Values]) -> None:
    for line in lines:
        style = _style(data, line["contender"])
        if "steps" in line:
            axes.plot(line["steps"], line["y"], **style)
            axes.fill_between(line["steps"], line["low"], line["high"], color=style["color"], alpha=0.15, linewidth=0)
        else:  # of a method that takes no steps
            axes.axhline(line["y"], **{**style, "linestyle": "--"})


def draw_profiles(data: Values) -> Figure | None:
    """Performance profiles, a panel a protocol: the share of runs above each normalised score."""
    protocols = _protocols(data, data["profiles"])
    if not protocols:
        return None
    figure, (row,) = _panels(1, len(protocols))
    for axes, protocol in zip(row, protocols, strict=True):
        for line in _of(data, data["profiles"], protocol):
            style = _style(data, line["contender"])
            axes.plot(line["x"], line["y"], **style)
            axes.fill_between(line["x"], line["low"], line["high"], color=style["color"], alpha=0.15, linewidth=0)
        axes.set(title=protocol, xlabel="normalised score", ylim=(-0.02, 1.02))
    row[0].set_ylabel("share of runs above")
    _legend(row)
    return figure


def draw_improvement(data: Values) -> Figure | None:
    """Probability that a run of the one ends above a run of the other, over all environments where there are several."""
    pooled = [duel for duel in data["duels"] if duel["pooled"]] or data["duels"]
    if not pooled:
        return None
    names = [f"{_label(data, duel['first'])} above {_label(data, duel['second'])}" for duel in pooled]
    if not pooled[0]["pooled"] and len(_distinct(duel["env"] for duel in pooled)) > 1:
        names = [f"{name}, {duel['env']}" for name, duel in zip(names, pooled, strict=True)]
    figure = Figure(figsize=(6, 0.6 + 0.26 * len(pooled)), layout="constrained")
    axes, heights = figure.add_subplot(), np.arange(len(pooled))[::-1]
    for height, duel in zip(heights, pooled, strict=True):
        color = _style(data, duel["first"])["color"]
        axes.plot([duel["low"], duel["high"]], [height, height], color=color)
        axes.plot(duel["value"], height, "o", color=color)
    axes.axvline(0.5, color="gray", linewidth=0.8)
    axes.set(yticks=heights, yticklabels=names, xlim=(-0.02, 1.02), xlabel="probability of improvement")
    return figure


def _panels(n_rows: int, n_columns: int) -> tuple[Figure, Any]:
    """A figure and its axes, ``(n_rows, n_columns)``."""
    size = (_PANEL[0] * n_columns + _BESIDE, _PANEL[1] * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def _legend(row: Sequence[Axes]) -> None:
    """One legend beside a row, over the lines of all of its panels."""
    entries: dict[Any, Any] = {}
    for axes in row:
        entries |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    row[-1].legend(entries.values(), entries.keys(), loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _style(data: Values, contender: int) -> dict[str, Any]:
    """Colour, name and dashes, the same in every figure; a control is dotted."""
    dotted = ":" if data["contenders"][contender]["control"] else "-"
    return {"color": f"C{contender % 10}", "label": _label(data, contender), "linestyle": dotted}


def _label(data: Values, contender: int) -> str:
    return str(data["contenders"][contender]["label"])


def _of(data: Values, lines: Iterable[Values], protocol: str) -> list[Values]:
    return [line for line in lines if data["contenders"][line["contender"]]["protocol"] == protocol]


def _protocols(data: Values, lines: Sequence[Values]) -> list[str]:
    return _distinct(contender["protocol"] for contender in data["contenders"] if _of(data, lines, contender["protocol"]))


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
