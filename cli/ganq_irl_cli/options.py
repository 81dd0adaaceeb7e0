"""Options that several commands share, each explained once."""

from __future__ import annotations

from pathlib import Path

import click

env = click.option("--env", metavar="ID", help="Gymnasium id of the environment, such as Pendulum-v1.")
seed = click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of everything random; the same seed repeats a run."
)
device = click.option("--device", metavar="DEVICE", help="auto (a GPU where there is one), cpu or cuda.  [default: auto]")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else there.")
run_folder = click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
demonstrations = click.argument("demonstrations", metavar="NAME-or-FILE")
