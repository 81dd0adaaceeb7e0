"""``ganq-irl report``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("report")
@click.argument("folder", type=options.UsablePath(), metavar="DIR")
@click.option("--out", type=options.UsablePath(), metavar="FILE.html", help="Page to write.  [default: DIR/report.html]")
@click.option(
    "--pictures/--no-pictures", default=True, help="Play a few episodes to draw the values and rewards of single runs."
)
@click.option(
    "--videos/--no-videos",
    default=True,
    help="Show an episode of each method beside the expert's, if the environment can be rendered.",
)
@click.option(
    "--figures", type=options.UsablePath(), metavar="DIR", help="Also write the main figures to this folder, as PNG and PDF."
)
@options.as_json
def command(folder: Path, out: Path | None, pictures: bool, videos: bool, figures: Path | None, as_json: bool) -> None:
    """Write a self-contained HTML page about the comparison in DIR: verdict, curves, profiles, tables, videos, settings.

    The page works offline. On a machine without a display, set MUJOCO_GL=egl or MUJOCO_GL=osmesa to render MuJoCo.
    """
    with session.working():
        from ganq_irl.studies.pages.figures import write_figures
        from ganq_irl.studies.pages.page import write_page
        from ganq_irl.studies.summary import summarize_grid

        summary = summarize_grid(folder)
        drawn = [] if figures is None else write_figures(summary, figures)
        page = write_page(summary, out, pictures=pictures, videos=videos)
    for label, error in summary.failures.items():
        session.say(f"failed: {label}: {error}", err=True)
    figures_drawn = [str(path) for path in drawn]
    session.show({"report": str(page), "figures": figures_drawn}, "\n".join([str(page), *figures_drawn]), as_json)
