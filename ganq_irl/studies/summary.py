"""Read a grid's results, estimate, and write the tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganq_irl.studies.estimates import Comparison, compare_results
from ganq_irl.studies.execute import load_grid
from ganq_irl.studies.grid import make_cells
from ganq_irl.studies.results import Result, read_results, write_results
from ganq_irl.studies.tables import pair_record, row_record, to_markdown, write_tables
from ganq_irl.studies.verdict import write_verdict

BOOTSTRAP_SEED = 0
"""Seed of the bootstrap, so that the same results give the same intervals."""


@dataclass(frozen=True)
class GridSummary:
    """Results, estimates and verdict of a grid.

    Attributes:
        folder: the grid's folder.
        results: the result of every cell.
        comparison: estimates with intervals.
        verdict: sentences on what the estimates support and what they do not.
        files: the tables that were written.
    """

    folder: Path
    results: list[Result]
    comparison: Comparison
    verdict: list[str]
    files: list[Path]

    @property
    def failures(self) -> dict[str, str]:
        """Label of each cell that failed or is damaged -> the reason."""
        return {result.cell.label: result.error for result in self.results if result.error}

    def text(self) -> str:
        """Return the tables and the verdict as Markdown, and the paths of the files."""
        return f"{to_markdown(self.comparison, self.verdict)}\n{', '.join(map(str, self.files))}"

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "out": str(self.folder),
            "table": [row_record(row) for row in self.comparison.rows],
            "improvement": [pair_record(pair) for pair in self.comparison.pairs],
            "verdict": self.verdict,
            "failures": self.failures,
            "files": [str(path) for path in self.files],
        }


def summarize_grid(folder: Path | str) -> GridSummary:
    """Read all cells of a grid, finished or not, and write its tables.

    Raises:
        GanqIrlError: the folder does not hold a grid, or is damaged.
    """
    folder = Path(folder)
    results = read_results(folder, make_cells(load_grid(folder)))
    comparison = compare_results(results, np.random.default_rng(BOOTSTRAP_SEED))
    verdict = write_verdict(comparison)
    files = [*write_results(folder, results), *write_tables(folder, comparison, verdict)]
    return GridSummary(folder, results, comparison, verdict, files)
