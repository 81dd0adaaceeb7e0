"""``ganq-irl demos inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import options, session


@click.command("inspect")
@options.demonstrations
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw returns, lengths, actions and coverage."
)
@options.as_json
def command(demonstrations: str, plot: Path | None, as_json: bool) -> None:
    """Summarise shipped demonstrations or a file: returns, lengths, ranges, origin."""
    with session.working(torch_threads=False):
        from ganq_irl_demos import load_demonstrations, plot_summary, summarize

        loaded = load_demonstrations(demonstrations)
        summary = summarize(loaded)
        if plot is not None:
            plot_summary(loaded, plot)
    if as_json:
        session.print_json(summary)
    else:
        click.echo(_text(summary))


def _text(summary: dict[str, Any]) -> str:
    rows = [
        ("environment", summary["env_id"] or "not said"),
        ("episodes", f"{summary['episodes']} ({summary['terminated']} terminated, {summary['truncated']} truncated)"),
        ("transitions", str(summary["transitions"])),
        ("lengths", _statistics(summary["lengths"])),
        ("returns", _statistics(summary["returns"])),
        *((name, _field(field)) for name, field in summary["fields"].items()),
        ("checksum", summary["checksum"]),
        *((key, str(value)) for key, value in summary["provenance"].items()),
    ]
    return session.table(rows)


def _statistics(statistics: dict[str, Any] | None) -> str:
    if statistics is None:
        return "not recorded"
    return "{mean:.4g} ± {std:.3g} ({min:.4g} to {max:.4g})".format(**statistics)


def _field(field: dict[str, Any]) -> str:
    if "counts" in field:
        return f"{field['dtype']}, " + ", ".join(f"{value}: {count}" for value, count in field["counts"].items())
    ranges = ", ".join(
        f"[{low:.3g}, {high:.3g}]"
        for low, high in zip(field["min"], field["max"], strict=True)
        if low is not None and high is not None
    )
    return f"{field['dtype']} {tuple(field['shape'])}, {ranges}"
