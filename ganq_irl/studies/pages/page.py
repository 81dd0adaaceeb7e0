"""A self-contained HTML page about a grid: text and tables, and data that the page's script draws as charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from ganq_irl import __version__
from ganq_irl.errors import RunDirectoryError, usable_path
from ganq_irl.files import replace_file
from ganq_irl.studies.estimates import tracks
from ganq_irl.studies.pages.chart_data import chart_data
from ganq_irl.studies.pages.pictures import Picture, run_pictures
from ganq_irl.studies.pages.videos import EnvVideos, videos_by_env
from ganq_irl.studies.results import Result, grouped
from ganq_irl.studies.spec import GRID_FILE
from ganq_irl.studies.summary import GridSummary
from ganq_irl.studies.tables import HEADER, NOTE, row_cells
from ganq_irl.studies.verdict import track_name

REPORT_FILE = "report.html"


def write_page(summary: GridSummary, out: Path | str | None = None, *, pictures: bool = True, videos: bool = True) -> Path:
    """Write the page of a grid, finished or not.

    Args:
        summary: the results of the grid.
        out: the page; ``report.html`` in the grid's folder by default.
        pictures: run episodes for pictures of Q-values and rewards.
        videos: record one episode of each method in each environment.

    Raises:
        RunDirectoryError: ``out`` is a folder.
    """
    out = summary.folder / REPORT_FILE if out is None else usable_path(out)
    if out.is_dir():
        raise RunDirectoryError(f"{out} is a folder; give the page a name, such as {out / REPORT_FILE}")
    drawn = list(run_pictures(summary)) if pictures else []
    recorded = list(videos_by_env(summary)) if videos else []
    replace_file(out, render(summary, drawn, recorded).encode())
    return out


def render(summary: GridSummary, pictures: Sequence[Picture] = (), videos: Sequence[EnvVideos] = ()) -> str:
    """Return the page as text. The template escapes all that it inserts."""
    pages = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    pages.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    template = pages.from_string((files("ganq_irl.studies.pages") / "template.html").read_text(encoding="utf-8"))
    return template.render(
        version=__version__,
        summary=summary,
        tables=_tables(summary),
        header=HEADER,
        note=NOTE,
        pictures=pictures,
        videos=videos,
        request=(summary.folder / GRID_FILE).read_text(encoding="utf-8"),
        commands=_commands(summary.folder),
        configurations=_configurations(summary.results),
        data=chart_data(summary),
    )


def _tables(summary: GridSummary) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield the caption and the rows of each table."""
    rows = summary.comparison.rows
    for track in tracks(row.entry for row in rows):
        yield f"Protocol: {track_name(track)}", [row_cells(row) for row in rows if row.entry.track == track]


def _configurations(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """Yield the name and the settings of each method once, with the list of its seeds, which differ in nothing else."""
    for group in grouped(results, lambda result: result.cell.family).values():
        cell, seeds = group[0].cell, ", ".join(str(result.cell.seed) for result in group)
        command = f"ganq-irl train {cell.method.algo} --config FILE.toml"
        yield cell.label.rpartition(", seed ")[0], f"# the seeds: {seeds}\n# {command}\n{cell.config.to_toml()}"


def _commands(folder: Path) -> str:
    """Return the commands that reproduce the page from the request, without paths of this machine."""
    name = folder.resolve().name
    return (
        f"# save the request above as {GRID_FILE}\n"
        f"ganq-irl compare --config {GRID_FILE} --out {name}\n"
        f"ganq-irl report {name} --out {REPORT_FILE}"
    )
