"""Read the results of a grid's cells from their run directories, and write them as two CSV tables."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ganq_irl.errors import ConfigurationError, StorageError
from ganq_irl.evaluation import area_under_curve, normalized_score
from ganq_irl.evaluation.pictures import STEPS, read_progress
from ganq_irl.files import read_json, replace_file
from ganq_irl.runs.directory import EVALUATION, PROGRESS, load_run
from ganq_irl.studies.cells import SECONDS, failure, is_finished
from ganq_irl.studies.grid import Cell

RESULTS_FILE, FINAL_FILE = "results.csv", "final.csv"
Key = TypeVar("Key")
DONE, FAILED, MISSING = "done", "failed", "not run"


@dataclass(frozen=True)
class Curve:
    """Learning curve of one run: its evaluations during training.

    Attributes:
        steps: environment steps, ``(n,)``.
        seconds: wall time since training began, including evaluations, ``(n,)``.
        returns: mean true return, ``(n,)``.
    """

    steps: np.ndarray
    seconds: np.ndarray
    returns: np.ndarray


@dataclass(frozen=True)
class Result:
    """Result of one cell. All fields from ``mean_return`` on are None unless the run is done.

    Attributes:
        cell: the cell.
        status: ``DONE``, ``FAILED`` or ``MISSING``.
        error: why it failed, or "".
        mean_return: mean true return of the final policy.
        normalized: the same with random play as 0 and the expert as 1; None if those are unknown.
        area: mean height of the learning curve; None for behavioral cloning, which has no curve.
        normalized_area: the same, normalized.
        episodes: episodes of the final evaluation.
        train_seconds: wall time of training.
        curve: the learning curve; None for behavioral cloning.
    """

    cell: Cell
    status: str
    error: str = ""
    mean_return: float | None = None
    normalized: float | None = None
    area: float | None = None
    normalized_area: float | None = None
    episodes: int | None = None
    train_seconds: float | None = None
    curve: Curve | None = None


def read_results(folder: Path, cells: Sequence[Cell]) -> list[Result]:
    """Read the results of cells, in order. A cell with damaged files or other settings counts as failed, with the reason."""
    return [_read(folder / cell.path, cell) for cell in cells]


def first_finished_runs(results: Sequence[Result]) -> list[Result]:
    """Return the first finished run of each method and variation in each environment."""
    done = [result for result in results if result.status == DONE]
    return [group[0] for group in grouped(done, lambda result: result.cell.family).values()]


def grouped(results: Iterable[Result], key: Callable[[Result], Key]) -> dict[Key, list[Result]]:
    """Return results by a key, in order."""
    groups: dict[Key, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _read(folder: Path, cell: Cell) -> Result:
    error = failure(folder)
    if error is not None:
        return Result(cell, FAILED, error)
    try:
        if is_finished(folder, cell.config):
            return _finished(folder, cell)
        if (folder / EVALUATION).is_file():
            load_run(folder)  # raises if an evaluated run is damaged
        return Result(cell, MISSING)
    except ConfigurationError as error:
        return Result(cell, FAILED, str(error))
    except (ValueError, AttributeError, LookupError, TypeError, ArithmeticError) as error:
        return Result(cell, FAILED, f"{folder} is damaged ({error}); remove it, and its cell is run again")


def _finished(folder: Path, cell: Cell) -> Result:
    final, seconds = read_json(folder / EVALUATION), load_run(folder).info["seconds"]["train"]
    references = final["references"]
    _require_numbers(final["mean_return"], final["episodes"], seconds, *(references or ()))
    if final["normalized"] is not None:
        _require_numbers(final["normalized"])
    curve = _read_curve(folder) if cell.method.counts_steps else None
    area = area_under_curve(curve.steps, curve.returns) if curve is not None and len(curve.steps) else None
    return Result(
        cell,
        DONE,
        mean_return=final["mean_return"],
        normalized=final["normalized"],
        area=area,
        normalized_area=None if area is None or references is None else normalized_score(area, *references),
        episodes=final["episodes"],
        train_seconds=seconds,
        curve=curve,
    )


def _require_numbers(*values: object) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise StorageError(f"{str(value)[:60]!r} where a number is expected")


def _read_curve(folder: Path) -> Curve | None:
    columns = read_progress(folder / PROGRESS)
    if "eval/mean_reward" not in columns:
        return None
    shown = np.isfinite(columns["eval/mean_reward"])
    return Curve(columns[STEPS][shown], columns[SECONDS][shown], columns["eval/mean_reward"][shown])


def write_results(folder: Path, results: Sequence[Result]) -> tuple[Path, Path]:
    """Write ``results.csv`` with one row per evaluation and ``final.csv`` with one row per cell."""
    replace_file(folder / RESULTS_FILE, to_csv(_evaluation_rows(results)).encode())
    replace_file(folder / FINAL_FILE, to_csv([_final_row(result) for result in results]).encode())
    return folder / RESULTS_FILE, folder / FINAL_FILE


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows with the same keys as CSV; None becomes an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _identity(cell: Cell) -> dict[str, Any]:
    return {
        "env": cell.env,
        "protocol": cell.protocol,
        "method": cell.method.name,
        "n_demos": cell.n_demos,
        "variation": cell.variation,
        "seed": cell.seed,
    }


def _evaluation_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    rows = []
    for result in results:
        curve, points = result.curve, list[tuple[str, int | None, float | None, float | None]]()
        if curve is not None:
            columns = (values.tolist() for values in (curve.steps.astype(int), curve.seconds, curve.returns))
            points += [("training", *point) for point in zip(*columns, strict=True)]
        if result.status == DONE:
            points.append(("final", result.cell.config.timesteps, result.train_seconds, result.mean_return))
        names = ("when", "steps", "seconds", "mean_return")
        rows += [_identity(result.cell) | dict(zip(names, point, strict=True)) for point in points]
    return rows


def _final_row(result: Result) -> dict[str, Any]:
    values = {field.name: getattr(result, field.name) for field in fields(result) if field.name not in ("cell", "curve")}
    return {**_identity(result.cell), **values}
