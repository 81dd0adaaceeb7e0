"""``ganq-irl demos export``."""

from __future__ import annotations

import click

from ganq_irl_cli import options
from ganq_irl_cli.commands.demos import _converting


@click.command("export")
@options.demonstrations
@click.option("--format", "write_as", metavar="NAME", help="Format to write.  [default: by the ending of --out]")
@click.option("--out", required=True, metavar="FILE", help="File or folder to write, or minari:ID for Minari's store.")
@options.as_json
def command(demonstrations: str, write_as: str | None, out: str, as_json: bool) -> None:
    """Write shipped demonstrations or a file in the format of another library.

    Formats: npz arrays parquet csv d4rl robomimic minari lerobot imitation.
    """
    _converting.run(demonstrations, out, write_as=write_as, as_json=as_json)
