"""``ganq-irl demos inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.demonstrations import is_registered, load, make_request

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations


@click.command("inspect")
@click.argument("demonstrations", nargs=-1, required=True, metavar="NAME-or-FILE [...]")
@options.recorded_in
@click.option(
    "--plot",
    type=options.UsablePath(),
    metavar="FILE.png",
    help="Draw returns, lengths, states, actions and coverage; several sets side by side.",
)
@click.option(
    "--html", type=options.UsablePath(), metavar="FILE.html", help="Write a page with the summary, the plots and the checks."
)
@click.option(
    "--video", type=options.UsablePath(), metavar="FILE.gif|.mp4", help="Render an episode by replaying it from its seed."
)
@click.option("--episode", type=click.IntRange(min=0), default=0, metavar="I", help="Episode for --video.")
@options.columns
@options.mask
@options.as_json
def command(
    demonstrations: tuple[str, ...],
    env: str | None,
    plot: Path | None,
    html: Path | None,
    video: Path | None,
    episode: int,
    columns: dict[str, list[str]],
    mask: str | None,
    as_json: bool,
) -> None:
    """Summarize shipped demonstrations or files: returns, lengths, ranges, origin."""
    with session.working(torch_threads=False):
        from ganq_irl_demos import describe, examine_demonstrations

        request = make_request(env, columns=columns, mask=mask)
        sets = [load(source, request) for source in demonstrations]
        summaries = [describe(one) for one in sets]
        if plot is not None:
            from ganq_irl_demos.pictures.figure import plot_sets

            plot_sets(sets, plot)
        if html is not None:
            from ganq_irl_demos.pictures.page import write_page

            write_page(sets, html, {one.source: examine_demonstrations(one) for one in sets})
        if video is not None:
            _video(sets[0], env, episode, video)
    text = "\n\n".join(_text(summary, named=len(sets) > 1) for summary in summaries)
    session.show(summaries[0] if len(sets) == 1 else {"sets": summaries}, text, as_json)


def _video(demos: Demonstrations, env: str | None, episode: int, path: Path) -> None:
    """Render an episode, or print why it cannot be rendered."""
    from ganq_irl.errors import GanqIrlError
    from ganq_irl.runs.envs import probe_env
    from ganq_irl_demos.pictures.video import render_episode

    try:
        if episode >= len(demos):
            raise click.UsageError(f"--episode {episode}: {demos.source} holds {len(demos)} episodes, counted from 0")
        env = env or demos.env_id
        if env is None or not is_registered(env):
            session.say(f"no video: the environment of {demos.source} is unknown; give it with --env ID", err=True)
            return
        made = probe_env(env, {"render_mode": "rgb_array"})
        try:
            render_episode(demos[episode], made, path)
        finally:
            made.close()
    except GanqIrlError as error:
        session.say(f"no video: {error}", err=True)


def _text(summary: dict[str, Any], *, named: bool) -> str:
    from ganq_irl_demos.streams import REMARKS, remarks_in
    from ganq_irl_demos.summary import spread

    rows = [
        *([("source", summary["source"])] if named else []),
        ("environment", summary["env_id"] or "unknown"),
        ("episodes", f"{summary['episodes']} ({summary['terminated']} terminated, {summary['truncated']} truncated)"),
        ("transitions", str(summary["transitions"])),
        ("lengths", spread(summary["lengths"])),
        ("returns", spread(summary["returns"])),
        *([("ranks", spread(summary["ranks"]))] if summary["ranks"] else []),
        *((name, _field(field)) for name, field in summary["fields"].items()),
        *([("missing", ", ".join(summary["missing"]))] if summary["missing"] else []),
        ("checksum", summary["checksum"]),
        *((key, str(value)) for key, value in summary["provenance"].items() if key != REMARKS),
        *(("remark", remark) for remark in remarks_in(summary["provenance"])),
    ]
    return session.table(rows)


def _field(field: dict[str, Any]) -> str:
    if "counts" in field:
        return f"{field['dtype']}, " + ", ".join(f"{value}: {count}" for value, count in field["counts"].items())
    ranges = ", ".join(
        f"[{low:.3g}, {high:.3g}]"
        for low, high in zip(field["min"], field["max"], strict=True)
        if low is not None and high is not None
    )
    return f"{field['dtype']} {tuple(field['shape'])}, {ranges}"
