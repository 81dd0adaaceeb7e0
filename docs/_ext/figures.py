"""Draw figures from committed result files: the comparison, and DAC on Hopper."""

import csv
from collections import defaultdict
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from scipy.stats import trim_mean

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COMPARISON, HOPPER = RESULTS / "comparison" / "results.csv", RESULTS / "hopper-pairs.csv"
COLOURS = dict(
    zip(("gan-q", "dqn", "qrdqn", "gail", "airl", "gail:frozen", "bc"), plt.get_cmap("tab10").colors, strict=False)
)
FIGURES = {"gan-q": ("gan-q", "dqn", "qrdqn"), "imitation": ("gail", "airl", "bc", "gail:frozen")}


def curves() -> dict[str, dict[str, dict[int, list[float]]]]:
    """Return the returns of all runs: environment -> method -> step -> one value for each seed."""
    found: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    with COMPARISON.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["env"]][row["method"]][int(row["steps"] or 0)].append(float(row["mean_return"]))
    return found


def draw(path: Path, methods: tuple[str, ...]) -> None:
    """Draw the interquartile mean of each method's runs over environment steps, and the range of the runs."""
    measured = curves()
    figure, axes = plt.subplots(1, len(measured), figsize=(3.1 * len(measured), 2.9), layout="constrained")
    for axis, (env, runs) in zip(axes, measured.items(), strict=True):
        for method in methods:
            steps = sorted(step for step, values in runs[method].items() if len(values) >= 5)
            values = np.array([runs[method][step][:5] for step in steps]).T
            middle = [trim_mean(column, 0.25) for column in values.T]
            if len(steps) == 1:  # behavioral cloning takes no environment steps
                axis.axhline(middle[0], color=COLOURS[method], linestyle="--", label=method)
                continue
            axis.plot(steps, middle, color=COLOURS[method], label=method)
            axis.fill_between(steps, values.min(axis=0), values.max(axis=0), color=COLOURS[method], alpha=0.12, linewidth=0)
        axis.set(title=env, xlabel="environment steps")
        axis.ticklabel_format(axis="x", style="sci", scilimits=(3, 3))
    axes[0].set_ylabel("return")
    axes[-1].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_hopper(path: Path) -> None:
    """Draw each run's score, and the value that the critics give the absorbing state."""
    with HOPPER.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained")
    labels = {"normalized": "normalized score", "absorbing_value": "value of an end"}
    for axis, (column, label) in zip(axes, labels.items(), strict=True):
        for seed in sorted({row["seed"] for row in rows}, key=int):
            run = [row for row in rows if row["seed"] == seed]
            axis.plot([int(row["timesteps"]) for row in run], [float(row[column]) for row in run], label=f"seed {seed}")
        axis.set(xlabel="environment steps", ylabel=label)
        axis.ticklabel_format(axis="x", style="sci", scilimits=(3, 3))
    axes[0].axhline(1, color="grey", linestyle=":")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_all(folder: Path) -> None:
    """Draw each figure whose data or code is newer."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {name: (COMPARISON, partial(draw, methods=methods)) for name, methods in FIGURES.items()}
    for name, (data, function) in (drawn | {"dac-hopper": (HOPPER, draw_hopper)}).items():
        path = folder / f"{name}.png"
        if not path.exists() or path.stat().st_mtime < max(each.stat().st_mtime for each in (data, Path(__file__))):
            function(path)
