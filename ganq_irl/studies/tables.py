"""A comparison as tables: Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganq_irl.evaluation import Estimate
from ganq_irl.files import replace_file
from ganq_irl.studies.estimates import Comparison, PairwiseComparison, Row, tracks
from ganq_irl.studies.results import to_csv
from ganq_irl.studies.verdict import describe, track_name

TABLE_CSV, IMPROVEMENT_CSV = "table.csv", "improvement.csv"
TABLE_MARKDOWN, TABLE_LATEX = "table.md", "table.tex"
NOTE = (
    "Interquartile mean over runs [95 % interval]; normalized: random 0, expert 1; area: mean height of the learning curve."
)
HEADER = ("environment", "method", "final return", "normalized", "area", "runs", "failed", "not run")
_LATEX = {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}


def row_cells(row: Row) -> tuple[str, ...]:
    """Return a row as text, in the order of ``HEADER``."""
    estimates = (row.final, row.normalized, row.area)
    counts = (row.runs, row.failed, row.missing)
    return (row.env, row.entry.name, *map(_text, estimates), *map(str, counts))


def _text(estimate: Estimate | None) -> str:
    return "-" if estimate is None else describe(estimate)


def to_markdown(comparison: Comparison, verdict: Sequence[str] = ()) -> str:
    """Return one table per track, followed by the verdict."""
    lines = []
    for track in tracks(row.entry for row in comparison.rows):
        rows = [row_cells(row) for row in comparison.rows if row.entry.track == track]
        lines += [
            f"## {track_name(track).capitalize()}",
            "",
            _markdown_row(HEADER),
            _markdown_row(["---"] * len(HEADER)),
        ]
        lines += [*map(_markdown_row, rows), ""]
    lines += [NOTE, ""]
    if verdict:
        lines += ["## What this shows, and what it does not", "", *(f"- {sentence}" for sentence in verdict)]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def to_latex(comparison: Comparison) -> str:
    """Return one ``tabular`` per track, with booktabs rules."""
    parts = []
    for track in tracks(row.entry for row in comparison.rows):
        rows = [row_cells(row) for row in comparison.rows if row.entry.track == track]
        body = "\n".join(_latex_row(row) for row in rows)
        parts.append(
            f"% {track_name(track)}. {NOTE}\n"
            f"\\begin{{tabular}}{{ll{'r' * (len(HEADER) - 2)}}}\n"
            f"\\toprule\n{_latex_row(HEADER)}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
        )
    return "\n".join(parts)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX.get(letter, letter) for letter in cell) for cell in cells) + r" \\"


def row_record(row: Row) -> dict[str, Any]:
    """Return a row as plain values, with the bounds of intervals in their own fields."""
    entry = row.entry
    record: dict[str, Any] = {"protocol": entry.protocol, "env": row.env, "method": entry.method}
    record |= {"n_demos": entry.n_demos, "variation": entry.variation}
    for name in ("final", "normalized", "area"):
        record |= _bounds(name, getattr(row, name))
    return record | {"runs": row.runs, "failed": row.failed, "missing": row.missing}


def pair_record(pair: PairwiseComparison) -> dict[str, Any]:
    """Return a pairwise comparison as plain values."""
    first, second = pair.first, pair.second
    record: dict[str, Any] = {"protocol": first.protocol, "env": pair.env, "n_demos": first.n_demos}
    record |= {"first": first.name, "second": second.name, **_bounds("probability", pair.probability)}
    return record | {"runs": pair.probability.runs, "failed": pair.probability.failed}


def _bounds(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    low, high = (None, None) if estimate is None or estimate.interval is None else estimate.interval
    return {name: None if estimate is None else estimate.value, f"{name}_low": low, f"{name}_high": high}


def write_tables(folder: Path, comparison: Comparison, verdict: Sequence[str]) -> list[Path]:
    """Write ``table.md``, ``table.csv``, ``table.tex`` and ``improvement.csv``."""
    contents = {
        TABLE_MARKDOWN: to_markdown(comparison, verdict),
        TABLE_CSV: to_csv([row_record(row) for row in comparison.rows]),
        TABLE_LATEX: to_latex(comparison),
        IMPROVEMENT_CSV: to_csv([pair_record(pair) for pair in comparison.pairs]),
    }
    for name, content in contents.items():
        replace_file(folder / name, content.encode())
    return [folder / name for name in contents]
