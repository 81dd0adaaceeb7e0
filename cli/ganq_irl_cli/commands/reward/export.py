"""``ganq-irl reward export``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session

SUFFIXES = (".onnx", ".pt2")


@click.command("export")
@options.run_folder
@click.option(
    "--out",
    type=options.UsablePath(dir_okay=False),
    default=Path("reward.onnx"),
    metavar="FILE",
    help="File to write: .onnx for ONNX, .pt2 for torch.export.",
)
@options.as_json
def command(run: Path, out: Path, as_json: bool) -> None:
    """Export the reward of RUN for other runtimes, and check that it agrees with the original to 1e-5."""
    if out.suffix not in SUFFIXES:
        raise click.BadParameter(f"given {out}; expected a file that ends in {' or '.join(SUFFIXES)}", param_hint="--out")
    with session.working():
        from ganq_irl.rewards.export import export_onnx, export_torch
        from ganq_irl.runs.rewards import load_exportable

        reward = load_exportable(run)
        difference = (export_onnx if out.suffix == ".onnx" else export_torch)(reward, out)
    text = f"{out}: differs from the original by at most {difference:.1g} of its scale"
    session.show({"reward": str(run), "file": str(out), "difference": difference}, text, as_json)
