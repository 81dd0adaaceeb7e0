"""``ganq-irl demos convert``."""

from __future__ import annotations

import click

from ganq_irl_cli import options
from ganq_irl_cli.commands.demos import _converting


@click.command("convert")
@click.argument("source", metavar="SRC")
@click.option("--format", "write_as", metavar="NAME", help="Format to write.  [default: by the ending of --out]")
@click.option("--from", "read_as", metavar="NAME", help="Format of SRC.  [default: by content]")
@click.option("--out", required=True, metavar="FILE", help="File or folder to write.")
@click.option("--env", type=options.ENV, help="Environment it was recorded in, for formats that do not say its spaces.")
@_converting.columns
@_converting.trust
@_converting.mask
@options.as_json
def command(
    source: str,
    write_as: str | None,
    read_as: str | None,
    out: str,
    env: str | None,
    columns: tuple[str, ...],
    mask: str | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Turn demonstrations of any format into any other, an episode at a time."""
    source = _converting.masked(source, mask)
    _converting.run(source, out, read_as=read_as, write_as=write_as, env=env, columns=columns, trust=trust, as_json=as_json)
