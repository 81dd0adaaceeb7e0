"""Options that several commands share, each explained once."""

from __future__ import annotations

from pathlib import Path

import click


def _existing(ctx: click.Context, parameter: click.Parameter, folder: Path) -> Path:
    """A folder that is there, told before torch is imported.

    Raises:
        RunDirectoryError: nothing is, or a file.
    """
    from ganq_irl.errors import RunDirectoryError, usable_path

    if not usable_path(folder).is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise RunDirectoryError(f"{folder} {what}; give a run such as `ganq-irl train` writes, or a folder of a reward")
    return folder


env = click.option("--env", metavar="ID", help="Gymnasium id of the environment, such as Pendulum-v1.")
seed = click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of everything random; the same seed repeats a run."
)
device = click.option("--device", metavar="DEVICE", help="auto (a GPU where there is one), cpu or cuda.  [default: auto]")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else there.")
run_folder = click.argument("run", type=click.Path(path_type=Path), metavar="RUN", callback=_existing)
demonstrations = click.argument("demonstrations", metavar="NAME-or-FILE")
