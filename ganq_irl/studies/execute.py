"""Run a grid in a folder: each start runs the cells that are not finished."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ganq_irl.errors import ConfigurationError, RunDirectoryError, printable, usable_path
from ganq_irl.files import locked, read_toml, replace_file, require_plain, require_vacant
from ganq_irl.progress import make_progress_bar
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.studies.cells import Outcome, is_finished, record_failure, run_locally
from ganq_irl.studies.grid import Cell, make_cells
from ganq_irl.studies.spec import GRID_FILE, GridConfig, parse_grid

Engine = Callable[[Mapping[Path, ExperimentConfig]], Iterator[Outcome]]


@dataclass(frozen=True)
class GridRun:
    """Result of one start of a grid.

    Attributes:
        folder: the grid's folder.
        cells: all cells of the grid.
        n_run: number of cells that this start ran.
        failures: label of each cell that failed in this start -> its error.
    """

    folder: Path
    cells: list[Cell]
    n_run: int
    failures: dict[str, str]


def run_grid(grid: GridConfig, folder: Path | str, *, engine: Engine | None = None, jobs: int = 1) -> GridRun:
    """Run the cells that are not finished: those of a killed grid, those that failed, and those of new seeds.

    A wrong request writes nothing. A cell that fails is recorded and does not stop the others.

    Args:
        grid: the request, which replaces the one in the folder.
        folder: a new or empty folder, or that of a grid.
        engine: runs the cells; worker processes on this machine by default.
        jobs: number of worker processes.

    Raises:
        GanqIrlError: a setting is wrong, the folder does not hold a grid, or another process is running it.
    """
    folder = require_plain(usable_path(folder))
    if not (folder / GRID_FILE).is_file():
        require_vacant(folder)
    cells = make_cells(grid)
    _check_demonstrations(cells)
    todo = {folder / cell.path: cell for cell in cells if not is_finished(folder / cell.path, cell.config)}
    with locked(folder):
        replace_file(folder / GRID_FILE, grid.to_toml().encode())
        failures = _run(todo, len(cells), engine or (lambda runs: run_locally(runs, jobs)))
    return GridRun(folder, cells, len(todo), failures)


def stored_request(folder: Path | str) -> Path | None:
    """Return the path of a folder's request, or None if it has none.

    Raises:
        ConfigurationError: the name is not a valid path.
        StorageError: the folder holds something other than regular files and folders.
    """
    path = usable_path(folder) / GRID_FILE
    if not path.is_file():
        return None
    require_plain(folder)
    return path


def load_grid(folder: Path | str) -> GridConfig:
    """Read the request of a grid's folder.

    Raises:
        RunDirectoryError: the folder does not hold a grid.
        StorageError: it holds something other than regular files and folders.
        ConfigurationError: its ``grid.toml`` is damaged, or the name is not a valid path.
    """
    path = stored_request(folder)
    if path is None:
        raise RunDirectoryError(
            f"{folder} holds no {GRID_FILE}; give a folder that `ganq-irl compare` wrote", page="how_to/compare"
        )
    return parse_grid(read_toml(path))


def _run(todo: Mapping[Path, Cell], total: int, engine: Engine) -> dict[str, str]:
    """Run cells under a progress bar; return the errors by label."""
    failures: dict[str, str] = {}
    # starting at the finished cells makes the estimate of the remaining time right
    with (
        make_progress_bar(total=total, initial=total - len(todo), desc="cells", unit="cell") as bar,
        closing(_outcomes(todo, engine)) as outcomes,
    ):
        for path, error in outcomes:
            if error is not None:
                failures[todo[path].label] = error
                bar.write(printable(f"failed: {todo[path].label}: {error}"), file=sys.stderr)
                bar.set_postfix(failed=len(failures), refresh=False)
            bar.update()
    return failures


def _outcomes(todo: Mapping[Path, Cell], engine: Engine) -> Generator[Outcome, None, None]:
    """Run cells that learn from a recovered reward after those that recover one."""
    free = {path: cell.config for path, cell in todo.items() if cell.source is None}
    if free:
        yield from engine(free)
    ready = {}
    for path, cell in todo.items():
        if cell.source is None:
            continue
        source = _root(path, cell) / cell.source.path
        if is_finished(source, cell.source.config):
            ready[path] = dataclasses.replace(cell.config, reward=str(source.resolve()))
        else:
            message = f"the run whose reward it learns from did not end well: {cell.source.label}"
            record_failure(path, message)
            yield path, message
    if ready:
        yield from engine(ready)


def _root(path: Path, cell: Cell) -> Path:
    """Return the grid's folder, given that of a cell."""
    return path.parents[len(cell.path.parts) - 1]


def _check_demonstrations(cells: list[Cell]) -> None:
    """Refuse a request for more trajectories than there are, before any cell fails for it."""
    from ganq_irl_demos import load_demonstrations

    largest: dict[tuple[str, str], int] = {}
    for cell in cells:
        if cell.config.demos is not None and cell.n_demos is not None:
            key = cell.env, cell.config.demos
            largest[key] = max(largest.get(key, 0), cell.n_demos)
    for (env, demos), n_demos in largest.items():
        available = len(load_demonstrations(demos, env_id=env))
        if n_demos > available:
            raise ConfigurationError(f"n_demos: {n_demos} asked for, but {demos} holds {available}; ask for at most those")
