"""``ganq-irl demos import``."""

# ruff: noqa: N999  the command is called so, and only the group imports it

from __future__ import annotations

import click

from ganq_irl_cli import options
from ganq_irl_cli.commands.demos import _converting


@click.command("import")
@click.argument("source", metavar="SRC")
@click.option(
    "--format", "read_as", metavar="NAME", help="Format of SRC, see docs/demonstrations.md.  [default: by content]"
)
@click.option("--out", metavar="FILE.npz", help="File to write.  [default: the name of SRC, with .npz, here]")
@click.option("--env", type=options.ENV, help="Environment it was recorded in, for formats that do not say its spaces.")
@_converting.columns
@_converting.trust
@click.option("--download", is_flag=True, help="Fetch minari:ID where it is not in the local store.")
@_converting.mask
@options.as_json
def command(
    source: str,
    read_as: str | None,
    out: str | None,
    env: str | None,
    columns: tuple[str, ...],
    mask: str | None,
    trust: bool,
    download: bool,
    as_json: bool,
) -> None:
    """Bring demonstrations of another library into ganq-irl's own .npz.

    SRC is a file, a folder, minari:ID, or huggingface:ORGANISATION/NAME[/FILE]. Files of any size are read an episode at a
    time.
    """
    source = _converting.masked(source, mask)
    target = out or _converting.default_out(source, ".npz")
    _converting.run(
        source, target, read_as=read_as, env=env, columns=columns, trust=trust, download=download, as_json=as_json
    )
