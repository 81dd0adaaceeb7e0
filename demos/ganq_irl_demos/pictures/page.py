"""A self-contained HTML page about demonstrations."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from ganq_irl.files import replace_file
from ganq_irl_demos.checking.findings import Finding
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.pictures.figure import draw_sets
from ganq_irl_demos.summary import describe, spread


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
    summaries = [describe(one) for one in sets]
    content = _template().render(
        title=" and ".join(Path(one.source).name for one in sets),
        summaries=summaries,
        rows=_rows(summaries),
        image=base64.b64encode(draw_sets(sets)).decode(),
        findings=findings or {},
    )
    path = Path(path)
    replace_file(path, content.encode())
    return path


def _template() -> Template:
    """Return the page, which escapes all that is put into it."""
    text = (files("ganq_irl_demos.pictures") / "page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined).from_string(text)


def _rows(summaries: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each row and a cell for each set."""
    for name in ("env_id", "episodes", "transitions", "terminated", "truncated", "horizon"):
        yield name, [str(summary[name]) for summary in summaries]
    for name in ("lengths", "returns"):
        yield name, [spread(summary[name]) for summary in summaries]
    for name in summaries[0]["fields"]:
        yield name, [_shape(summary["fields"].get(name)) for summary in summaries]
    yield "checksum", [summary["checksum"][:16] for summary in summaries]


def _shape(field: dict[str, Any] | None) -> str:
    return "" if field is None else f"{field['dtype']} {tuple(field['shape'])}"
