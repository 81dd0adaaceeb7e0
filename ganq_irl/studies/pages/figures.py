"""The figures of a grid as PNG and PDF: learning curves, performance profiles, probabilities of improvement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from ganq_irl.errors import RunDirectoryError, usable_path
from ganq_irl.evaluation.pictures import save_figure
from ganq_irl.studies.pages.chart_data import Values, chart_data
from ganq_irl.studies.summary import GridSummary

FORMATS = ("png", "pdf")
_PANEL = (3.6, 2.9)  # inches
_BESIDE = 1.6  # inches for a legend
_DASHES = ("-", "-.", (0, (7, 3)), (0, (9, 3, 2, 3)))


def write_figures(summary: GridSummary, folder: Path | str) -> list[Path]:
    """Write ``curves``, ``profiles`` and ``improvement`` to ``folder``, each as PNG and as PDF.

    Returns:
        The files. Figures without data are left out.

    Raises:
        RunDirectoryError: ``folder`` is a file.
        ConfigurationError: the name is not a valid path.
    """
    folder = usable_path(folder)
    if folder.exists() and not folder.is_dir():
        raise RunDirectoryError(f"{folder} is a file; give a folder for the figures")
    data = chart_data(summary)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"curves": draw_curves(data), "profiles": draw_profiles(data), "improvement": draw_improvement(data)}
    paths = {folder / f"{name}.{suffix}": figure for name, figure in drawn.items() if figure for suffix in FORMATS}
    for path, figure in paths.items():
        save_figure(figure, path)
    return list(paths)


def draw_curves(data: Values) -> Figure | None:
    """Draw learning curves, one row per protocol and one column per environment, with the band of the interquartile mean."""
    lines = [*data["curves"], *data["levels"]]
    if not lines:
        return None
    protocols, envs = _protocols(data, lines), _distinct(line["env"] for line in lines)
    figure, panels = _panels(len(protocols), len(envs))
    for row, protocol in zip(panels, protocols, strict=True):
        for axes, env in zip(row, envs, strict=True):
            for line in _of(data, lines, protocol):
                if line["env"] == env:
                    _draw_line(axes, data, line, line.get("steps"))
            axes.set(title=env, xlabel="environment steps")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 50k
        row[0].set_ylabel(f"return, {protocol}")
        _legend(row)
    return figure


def _draw_line(axes: Axes, data: Values, line: Values, x: Sequence[float] | None) -> None:
    """Draw a curve and its band over ``x``, or a horizontal line if ``x`` is None."""
    style = _style(data, line["entry"])
    if x is None:
        axes.axhline(line["y"], **{**style, "linestyle": "--"})
    else:
        axes.plot(x, line["y"], **style)
        axes.fill_between(x, line["low"], line["high"], color=style["color"], alpha=0.15, linewidth=0)


def draw_profiles(data: Values) -> Figure | None:
    """Draw performance profiles, one panel per protocol: the share of runs above each normalized score."""
    protocols = _protocols(data, data["profiles"])
    if not protocols:
        return None
    figure, (row,) = _panels(1, len(protocols))
    for axes, protocol in zip(row, protocols, strict=True):
        for line in _of(data, data["profiles"], protocol):
            _draw_line(axes, data, line, line["x"])
        axes.set(title=protocol, xlabel="normalized score", ylim=(-0.02, 1.02))
    row[0].set_ylabel("share of runs above")
    _legend(row)
    return figure


def draw_improvement(data: Values) -> Figure | None:
    """Draw the probability that a run of one method ends above a run of another, over all environments if several."""
    pairs = [pair for pair in data["pairs"] if pair["pooled"]] or data["pairs"]
    if not pairs:
        return None
    names = [f"{_label(data, pair['first'])} above {_label(data, pair['second'])}" for pair in pairs]
    if len(_distinct(pair["env"] for pair in pairs)) > 1:
        names = [f"{name}, {pair['env']}" for name, pair in zip(names, pairs, strict=True)]
    figure = Figure(figsize=(6, 0.6 + 0.26 * len(pairs)), layout="constrained")
    axes, heights = figure.add_subplot(), np.arange(len(pairs))[::-1]
    for height, pair in zip(heights, pairs, strict=True):
        color = _style(data, pair["first"])["color"]
        axes.plot([pair["low"], pair["high"]], [height, height], color=color)
        axes.plot(pair["value"], height, "o", color=color)
    axes.axvline(0.5, color="gray", linewidth=0.8)
    axes.set(yticks=heights, yticklabels=names, xlim=(-0.02, 1.02), xlabel="probability of improvement")
    return figure


def _panels(n_rows: int, n_columns: int) -> tuple[Figure, Any]:
    """Return a figure and its axes, ``(n_rows, n_columns)``."""
    size = (_PANEL[0] * n_columns + _BESIDE, _PANEL[1] * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def _legend(row: Sequence[Axes]) -> None:
    """Draw one legend beside a row, for the lines of all its panels."""
    handles: dict[Any, Any] = {}
    for axes in row:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    row[-1].legend(handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _style(data: Values, entry: int) -> dict[str, Any]:
    """Return color, label and dashes, the same in every figure; controls are dotted, and dashes separate equal colors."""
    dashes = ":" if data["entries"][entry]["control"] else _DASHES[entry // 10 % len(_DASHES)]
    return {"color": f"C{entry % 10}", "label": _label(data, entry), "linestyle": dashes}


def _label(data: Values, entry: int) -> str:
    return str(data["entries"][entry]["label"])


def _of(data: Values, lines: Iterable[Values], protocol: str) -> list[Values]:
    return [line for line in lines if data["entries"][line["entry"]]["protocol"] == protocol]


def _protocols(data: Values, lines: Sequence[Values]) -> list[str]:
    return _distinct(entry["protocol"] for entry in data["entries"] if _of(data, lines, entry["protocol"]))


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
