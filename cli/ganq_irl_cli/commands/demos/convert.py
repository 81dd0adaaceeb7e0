"""``ganq-irl demos convert``."""

from __future__ import annotations

from typing import Any

import click

from ganq_irl_cli import demonstrations, options


@click.command("convert")
@click.argument("source", metavar="SRC")
@click.option("--format", "write_as", metavar="NAME", help="Format to write.  [default: from the suffix of --out]")
@click.option("--from", "read_as", metavar="NAME", help="Format of SRC.  [default: from the content]")
@click.option("--out", required=True, metavar="FILE", help="File or folder to write.")
@options.recorded_in
@options.columns
@options.trust
@options.mask
@options.as_json
def command(**request: Any) -> None:
    """Convert demonstrations between any two formats, one episode at a time."""
    demonstrations.convert(**request)
