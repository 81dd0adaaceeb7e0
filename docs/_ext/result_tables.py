"""The directive ``result-table``: a table of a committed result file, so that no figure is typed twice.

Its argument is the file: a page, or a CSV whose cells are Markdown and whose first lines may be comments. Options:
``section`` (a heading), ``table`` (the number of the table below it), ``rows`` (a regular expression), and ``columns``
(numbers, from 1).
"""

import csv
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def section_of(text: str, title: str | None) -> str:
    """Return the text below a heading, down to the next heading of any level; all of it without a title."""
    if title is None:
        return text
    found = re.search(rf"^#+ {re.escape(title)}.*\n((?:(?!#).*\n?)*)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no section {title!r}")
    return found[1]


def text_of(path: Path) -> str:
    """Return the text of a result file; the rows of a CSV as a table."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".csv":
        return text
    header, *rows = csv.reader(line for line in text.splitlines() if not line.startswith("# "))
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines)


def table_of(text: str, number: int, rows: str, columns: list[int] | None) -> list[str]:
    """Return the lines of the table with this number, with the rows that match and the given columns (counted from 1)."""
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    header, rule, *body = tables[number - 1].splitlines()
    body = [line for line in body if re.search(rows, line)]
    if not body:
        raise ValueError(f"no row matches {rows!r}")
    if columns is None:
        return [header, rule, *body]
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in (header, rule, *body)]
    return [f"| {' | '.join(cells[column - 1] for column in columns)} |" for cells in lines]


class ResultTable(Directive):
    """Insert a table of a file in benchmarks/results."""

    required_arguments = 1
    option_spec: ClassVar = {
        "section": directives.unchanged,
        "table": directives.positive_int,
        "rows": directives.unchanged,
        "columns": directives.positive_int_list,
    }

    def run(self) -> list[nodes.Node]:
        """Return the table, and a line that names the file."""
        path = RESULTS / self.arguments[0]
        self.state.document.settings.record_dependencies.add(str(path))
        try:
            text = section_of(text_of(path), self.options.get("section"))
            lines = table_of(text, self.options.get("table", 1), self.options.get("rows", ""), self.options.get("columns"))
        except (ValueError, IndexError, OSError) as error:
            raise self.error(f"result-table {path.name}: {error}") from error
        is_page = path.suffix == ".md"
        source = f"From [{path.name}](/_generated/results/{self.arguments[0]})." if is_page else ""
        box = nodes.container()
        self.state.nested_parse(StringList([*lines, "", source, ""], source=str(path)), self.content_offset, box)
        return box.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("result-table", ResultTable)
    return {"parallel_read_safe": True}
