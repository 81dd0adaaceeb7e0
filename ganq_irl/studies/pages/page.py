"""A self-contained HTML page about a grid: text and tables, and data that the page's script draws as charts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from ganq_irl import __version__
from ganq_irl.errors import RunDirectoryError, usable_path
from ganq_irl.files import replace_file
from ganq_irl.studies.estimates import tracks
from ganq_irl.studies.pages.chart_data import chart_data
from ganq_irl.studies.pages.pictures import Picture, run_pictures
from ganq_irl.studies.pages.videos import EnvVideos, VideoFigure, videos_by_env
from ganq_irl.studies.results import Result
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
    """Return the page as text."""
    grid = (summary.folder / GRID_FILE).read_text(encoding="utf-8")
    parts = {
        "VERSION": escape(__version__),
        "VERDICT": _list(summary.verdict),
        "TABLES": _tables(summary),
        "PICTURES": "".join(map(_picture, pictures)) or "<p>None in this report.</p>",
        "VIDEOS": "".join(map(_env_videos, videos)) or "<p>None in this report.</p>",
        "FAILURES": _failures(summary.results),
        "REQUEST": escape(grid),
        "CONFIGURATIONS": _configurations(summary.results),
        "COMMANDS": escape(_commands(summary.folder)),
        "DATA": embedded_json(chart_data(summary)),
    }
    template = (files("ganq_irl.studies.pages") / "template.html").read_text(encoding="utf-8")
    # in one pass, so that text that looks like a placeholder is not replaced
    return re.sub(r"%%([A-Z]+)%%", lambda match: parts[match[1]], template)


def embedded_json(content: object) -> str:
    """Return JSON that is safe in a script element: it cannot close the element or open another."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _tables(summary: GridSummary) -> str:
    parts = []
    for track in tracks(row.entry for row in summary.comparison.rows):
        rows = [row_cells(row) for row in summary.comparison.rows if row.entry.track == track]
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in HEADER)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        caption = escape(f"Protocol: {track_name(track)}")
        table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        parts.append(f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">{table}</div>')
    return f"{''.join(parts)}<p>{escape(NOTE)}</p>"


def _picture(picture: Picture) -> str:
    title, caption = escape(picture.title), escape(picture.caption)
    image = f'<img src="{escape(picture.png)}" alt="{title}: {caption}">' if picture.png else ""
    return f"<figure>{image}<figcaption><strong>{title}.</strong> {caption}</figcaption></figure>"


def _env_videos(shown: EnvVideos) -> str:
    """Return a closed ``details`` element, so that nothing on the page moves until the reader opens it."""
    if not shown.videos:
        return f"<p>{escape(shown.reason)}</p>"
    figures = "".join(_video(shown.env, video) for video in shown.videos)
    return (
        f"<details><summary>Play the episodes of {escape(shown.env)}</summary>"
        f'<div class="charts films">{figures}</div></details>'
    )


def _video(env: str, video: VideoFigure) -> str:
    title, caption = escape(video.title), escape(video.caption)
    alternative = f"An episode of {title} in {escape(env)}: {caption}"
    image = f'<img src="{escape(video.gif)}" alt="{alternative}">' if video.gif else ""
    return f"<figure>{image}<figcaption><strong>{title}.</strong> {caption}</figcaption></figure>"


def _failures(results: Sequence[Result]) -> str:
    failed = [f"{result.cell.label}: {result.error}" for result in results if result.error]
    return _list(failed) if failed else "<p>No run failed.</p>"


def _configurations(results: Sequence[Result]) -> str:
    """Show the settings of each method once, with the list of its seeds, which differ in nothing else."""
    seeds: dict[tuple[str, str, int | None, str], list[Result]] = {}
    for result in results:
        cell = result.cell
        seeds.setdefault((cell.env, cell.method.name, cell.n_demos, cell.variation), []).append(result)
    return "".join(_configuration(group) for group in seeds.values())


def _configuration(group: Sequence[Result]) -> str:
    cell = group[0].cell
    name = cell.label.rpartition(", seed ")[0]
    seeds = ", ".join(str(result.cell.seed) for result in group)
    settings = f"# the seeds: {seeds}\n# ganq-irl train {cell.method.algo} --config FILE.toml\n{cell.config.to_toml()}"
    return f'<details><summary>{escape(name)}</summary><pre tabindex="0">{escape(settings)}</pre></details>'


def _commands(folder: Path) -> str:
    """Return the commands that reproduce the page from the request, without paths of this machine."""
    name = folder.resolve().name
    return (
        f"# save the request above as {GRID_FILE}\n"
        f"ganq-irl compare --config {GRID_FILE} --out {name}\n"
        f"ganq-irl report {name} --out {REPORT_FILE}"
    )
