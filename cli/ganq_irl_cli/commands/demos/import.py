"""``ganq-irl demos import``."""

# ruff: noqa: N999  the module has the name of the command

from __future__ import annotations

from typing import Any

import click

from ganq_irl_cli import demonstrations, options


@click.command("import")
@click.argument("source", metavar="SRC")
@click.option(
    "--format",
    "read_as",
    metavar="NAME",
    help="Format of SRC; docs/reference/formats.md lists them.  [default: from the content]",
)
@click.option(
    "--out", metavar="FILE.npz", help="File to write.  [default: the name of SRC with .npz, in the working directory]"
)
@options.recorded_in
@options.columns
@options.trust
@click.option("--download", is_flag=True, help="Download minari:ID if it is not in the local store.")
@options.mask
@options.as_json
def command(source: str, out: str | None, **reading: Any) -> None:
    """Import demonstrations of another library to .npz, the format of ganq-irl.

    SRC is a file, a folder, minari:ID, or huggingface:ORGANIZATION/NAME[/FILE]. It may be larger than memory.
    """
    demonstrations.convert(source, out or demonstrations.default_out(source, ".npz"), **reading)
