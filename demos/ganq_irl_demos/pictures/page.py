"""A self-contained HTML page about demonstrations."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganq_irl_demos.checking.findings import Finding
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.pictures.figure import draw_sets
from ganq_irl_demos.summary import describe

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a202c }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .8rem; text-align: left; vertical-align: top }
th { border-bottom: 1px solid #cbd5e0 } td { border-bottom: 1px solid #edf2f7 } img { max-width: 100% }
.error { color: #c53030 } .warning { color: #975a16 }
"""


def write_page(
    sets: Sequence[Demonstrations], path: str | os.PathLike[str], findings: Mapping[str, Sequence[Finding]] | None = None
) -> Path:
    """Write the page atomically.

    Args:
        sets: up to six sources of demonstrations of one task.
        path: file to write.
        findings: source -> findings of its check.

    Raises:
        GanqIrlError: as ``plot_sets``.
    """
    from ganq_irl.files import replace_file

    image = base64.b64encode(draw_sets(sets)).decode()
    title = " and ".join(html.escape(Path(one.source).name) for one in sets)
    body = [
        f"<h1>Demonstrations: {title}</h1>",
        _table(["", *(one.source for one in sets)], _rows([describe(one) for one in sets])),
        f'<img alt="Returns, lengths, states, actions and coverage of each set" src="data:image/png;base64,{image}">',
        *(_findings(source, found) for source, found in (findings or {}).items()),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    path = Path(path)
    replace_file(path, "\n".join([head, *body, "</html>\n"]).encode())
    return path


def _rows(summaries: list[dict[str, Any]]) -> list[list[str]]:
    plain = ("env_id", "episodes", "transitions", "terminated", "truncated", "horizon")
    rows = [[name, *(str(summary[name]) for summary in summaries)] for name in plain]
    rows += [[name, *(_spread(summary[name]) for summary in summaries)] for name in ("lengths", "returns")]
    fields = summaries[0]["fields"]
    rows += [[name, *(_shape(summary["fields"].get(name)) for summary in summaries)] for name in fields]
    return [*rows, ["checksum", *(summary["checksum"][:16] for summary in summaries)]]


def _spread(values: dict[str, Any] | None) -> str:
    return "not recorded" if values is None else "{mean:.4g} ± {std:.3g} ({min:.4g} to {max:.4g})".format(**values)


def _shape(field: dict[str, Any] | None) -> str:
    return "" if field is None else f"{field['dtype']} {tuple(field['shape'])}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"


def _findings(source: str, findings: Sequence[Finding]) -> str:
    heading = f"<h2>{html.escape(source)}: {len(findings) or 'no'} findings</h2>"
    lines = "".join(f'<li class="{one.severity}">{one.severity}: {html.escape(str(one))}</li>' for one in findings)
    return f"{heading}<ul>{lines}</ul>" if lines else heading
