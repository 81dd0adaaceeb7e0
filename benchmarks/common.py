"""Helpers of the benchmarks: options, resumable grids of runs, alternating measurements, and result pages."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import statistics
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial, reduce
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from ganq_irl.runs import ExperimentConfig

PACKAGES = ("ganq-irl", "torch", "stable-baselines3", "gymnasium", "imitation", "numpy")
FINAL = "final.json"
"""File written last into the folder of a run, which marks it as finished."""


def page_parser(description: str | None, page: str) -> argparse.ArgumentParser:
    """Return a parser for a script with the docstring ``description``: ``--out``, by default ``page`` in the results."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results") / page)
    return parser


def pictured_parser(description: str | None, name: str, *, seeds: str) -> argparse.ArgumentParser:
    """Return a parser for a script that writes a page and a picture: ``--out``, ``--picture``, and integer seeds."""
    parser = page_parser(description, f"{name}.md")
    parser.add_argument("--seeds", type=_integers, default=seeds, help=f"separated by commas; {seeds} by default")
    parser.add_argument("--picture", type=Path, default=Path("docs/images") / f"{name}.png")
    return parser


def grid_parser(
    description: str | None, name: str, choices: Iterable[str], *, seeds: str, jobs: int, chosen: str = "env"
) -> argparse.ArgumentParser:
    """Return a parser for a grid of runs: a choice from ``choices``, integer seeds, and the options of ``run_cells``."""
    parser = page_parser(description, f"{name.replace('_', '-')}.md")
    parser.add_argument(f"--{chosen}", action="append", choices=list(choices), help="may be given several times")
    parser.add_argument("--seeds", type=_integers, default=seeds, help=f"separated by commas; {seeds} by default")
    parser.add_argument("--jobs", type=int, default=jobs, help="runs at a time")
    parser.add_argument("--set", action="append", default=[], help="a setting for every cell, as in `ganq-irl train --set`")
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/runs") / name, help="folder of the run directories")
    return parser


def _integers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def names_of(text: str) -> list[str]:
    """Split names at semicolons, since names of methods contain commas."""
    return [name.strip() for name in text.split(";") if name.strip()]


def in_turns(
    tasks: Mapping[str, Callable[[], object]], turns: int, label: str, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Measure each task in each turn, in seconds of processor time by default.

    The machine's load then affects all tasks equally. An additional first turn is a warm-up and not returned.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in tqdm(range(turns + 1), desc=label, file=sys.stderr):
        for name, task in tasks.items():
            start = clock()
            task()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def clock_of(device: str) -> Callable[[], float]:
    """Return the processor time on the CPU; for a CUDA device, the time after synchronization."""
    if device == "cpu":
        return time.process_time
    import torch

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def ratio(of: Sequence[float], to: Sequence[float]) -> str:
    """Format the median and range of the ratios within a turn."""
    ratios = [a / b for a, b in zip(of, to, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def versions(command: str) -> str:
    """Return a paragraph with the command, versions, architecture and number of cores."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    given = " ".join(sys.argv[1:])
    return (
        f"Command: `{command}{' ' + given if given else ''}`. Python {platform.python_version()}, {packages}. "
        f"{platform.machine()}, {os.cpu_count()} cores, one thread a process."
    )


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file beside a page: one line for each row, with the keys of the first as its header."""
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file; none if it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row to a CSV file, which gets a header if it is new."""
    fresh = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def write_markdown(path: Path, lines: list[str]) -> None:
    """Write the page and print its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


class Cell(Protocol):
    """A run of a grid."""

    def folder(self, runs: Path) -> Path:
        """Return the run directory, in which ``FINAL`` marks the run as finished."""
        ...

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and evaluate; return the content of ``FINAL``."""
        ...


def run_cells(cells: Sequence[Cell], arguments: argparse.Namespace) -> int:
    """Run unfinished cells, ``jobs`` at a time, in the folder ``runs``, with the settings ``set``, all from the arguments.

    Returns the exit status: 1 if some runs failed, since the table is then incomplete.

    Raises:
        SystemExit: no run finished; an empty table would overwrite the existing one.
    """
    from ganq_irl.studies.workers import run_tasks

    todo = {cell.folder(arguments.runs): cell for cell in cells}
    tasks = {
        folder: partial(_run_cell, cell, folder, arguments.set) for folder, cell in todo.items() if not finished([folder])
    }
    failed = False
    with closing(run_tasks(tasks, arguments.jobs)) as outcomes:
        for folder, outcome in tqdm(outcomes, total=len(tasks), desc="cells", file=sys.stderr):
            if outcome.exception() is not None:
                failed = True
                print(f"failed: {todo[folder]}: {outcome.exception()}", file=sys.stderr)
    if not finished(cell.folder(arguments.runs) for cell in cells):
        sys.exit("no run finished, so there is no table to write; the errors are listed above")
    return int(failed)


def _run_cell(cell: Cell, folder: Path, overrides: list[str]) -> None:
    """Run a cell in a worker process, from the start if it was interrupted."""
    shutil.rmtree(folder, ignore_errors=True)
    final = cell.run(folder, overrides)
    (folder / FINAL).write_text(json.dumps(final), encoding="utf-8")


def configured(settings: Mapping[str, Any], overrides: Sequence[str]) -> ExperimentConfig:
    """Return a cell's configuration; ``--set`` overrides the cell's own settings, like flags of ``ganq-irl``."""
    from ganq_irl.runs.config import merged
    from ganq_irl.runs.resolve import parse_assignment, resolve_config

    return resolve_config(reduce(merged, map(parse_assignment, overrides), dict(settings)))


def finished(folders: Iterable[Path]) -> list[Path]:
    """Return the folders whose run is finished."""
    return [folder for folder in folders if (folder / FINAL).is_file()]


def final_of(folder: Path) -> dict[str, Any]:
    """Return the results of a finished run."""
    return json.loads((folder / FINAL).read_text(encoding="utf-8"))


def evaluations(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and mean returns of the evaluations during training."""
    from ganq_irl.evaluation.pictures import STEPS, read_progress

    columns = read_progress(folder / "progress.csv")
    shown = np.isfinite(columns["eval/mean_reward"])
    return columns[STEPS][shown], columns["eval/mean_reward"][shown]


def settings_of_run(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run as plain values."""
    return tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))


def steps_of(folders: Iterable[Path]) -> str:
    """Format the steps of the runs, from their configurations."""
    taken = {settings_of_run(folder)["timesteps"] for folder in folders}
    return " and ".join(f"{steps:,} steps" for steps in sorted(taken)) or "no runs"


def last_fifth(scores: np.ndarray) -> float:
    """Return the mean of the last 20 % of a run's evaluations."""
    return float(scores[-max(1, len(scores) // 5) :].mean())
