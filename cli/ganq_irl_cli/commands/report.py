"""``ganq-irl report``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("report")
@click.argument("folder", type=options.UsablePath(), metavar="DIR")
@click.option("--out", type=options.UsablePath(), metavar="FILE.html", help="The page.  [default: DIR/report.html]")
@click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Play a few episodes of single runs, to draw their values and rewards.  [default: --pictures]",
)
@click.option(
    "--videos/--no-videos",
    default=True,
    help="Draw an episode of each method beside the expert's, where the environment can be drawn.  [default: --videos]",
)
@click.option(
    "--figures", type=options.UsablePath(), metavar="DIR", help="Write the main figures there as well, as PNG and PDF."
)
@options.as_json
def command(folder: Path, out: Path | None, pictures: bool, videos: bool, figures: Path | None, as_json: bool) -> None:
    """Write one page about the comparison in DIR: verdict, curves, profiles, tables, videos, configurations.

    It needs no network. Where there is no display, MuJoCo draws with MUJOCO_GL=egl or MUJOCO_GL=osmesa.
    """
    with session.working():
        from ganq_irl.studies.conclusion import conclude
        from ganq_irl.studies.figures import write_figures
        from ganq_irl.studies.page import write_page

        conclusion = conclude(folder)
        drawn = [] if figures is None else write_figures(conclusion, figures)
        page = write_page(conclusion, out, pictures=pictures, videos=videos)
    for label, error in conclusion.failures.items():
        session.say(f"failed: {label}: {error}", err=True)
    if as_json:
        session.print_json({"report": str(page), "figures": [str(path) for path in drawn]})
    else:
        session.say("\n".join(map(str, [page, *drawn])))
