"""What benchmarks share: a grid of runs that continues where it stopped, and what is written beside the figures."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

PACKAGES = ("ganq-irl", "torch", "stable-baselines3", "gymnasium", "imitation", "numpy")


def versions(command: str) -> str:
    """One paragraph: the command, the versions, the machine's kind and cores."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    given = " ".join(sys.argv[1:])
    return (
        f"Command: `{command}{' ' + given if given else ''}`. Python {platform.python_version()}, {packages}. "
        f"{platform.machine()}, {os.cpu_count()} cores, one thread a process."
    )


def write_markdown(path: Path, lines: list[str]) -> None:
    """Write the page and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


class Cell(Protocol):
    """One run of a grid."""

    def folder(self, runs: Path) -> Path:
        """Its run directory; ``final.json`` in it says that it is done."""
        ...

    def run(self, folder: Path, overrides: list[str]) -> None:
        """Train and evaluate it, in a process of its own."""


def run_cells(cells: Sequence[Cell], arguments: argparse.Namespace) -> None:
    """Run what is not done yet: ``jobs`` at a time, in the folder ``runs``, with the settings ``set``, of the arguments."""
    todo = [cell for cell in cells if not (cell.folder(arguments.runs) / "final.json").is_file()]
    with ProcessPoolExecutor(arguments.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(cell.run, cell.folder(arguments.runs), arguments.set): cell for cell in todo}
        for future in tqdm(as_completed(futures), total=len(futures), desc="cells", file=sys.stderr):
            if future.exception() is not None:
                print(f"failed: {futures[future]}: {future.exception()}", file=sys.stderr)


def evaluations(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Steps and mean returns of the evaluations during a run's training."""
    from ganq_irl.evaluation.pictures import STEPS, read_progress

    columns = read_progress(folder / "progress.csv")
    shown = np.isfinite(columns["eval/mean_reward"])
    return columns[STEPS][shown], columns["eval/mean_reward"][shown]
