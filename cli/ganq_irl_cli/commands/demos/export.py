"""``ganq-irl demos export``."""

from __future__ import annotations

from typing import Any

import click

from ganq_irl_cli import options
from ganq_irl_cli.demonstrations import convert


@click.command("export")
@options.demonstrations
@click.option("--format", "write_as", metavar="NAME", help="Format to write.  [default: from the suffix of --out]")
@click.option(
    "--out", required=True, metavar="FILE", help="File or folder to write, or minari:ID for the local Minari store."
)
@options.columns
@options.as_json
def command(demonstrations: str, **request: Any) -> None:
    """Export shipped demonstrations or a file to the format of another library.

    Formats: npz arrays parquet csv d4rl robomimic minari lerobot imitation.
    """
    convert(demonstrations, **request)
