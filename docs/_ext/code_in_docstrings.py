"""Make docstrings and help texts plain text to Sphinx, but for the code in them.

They are written for ``help()`` and for a terminal: single backquotes mark code, and ``|x|`` or ``obs_`` mean themselves.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_CODE = re.compile(r"(?<![`:\w])`(?![`\s])([^`\n]+)`(?![`_\w])")
_LITERAL = re.compile(r"(``.*?``)")


def plain(line: str) -> str:
    """Return a line as reStructuredText that shows it as it is."""
    parts = _LITERAL.split(_CODE.sub(r"``\1``", line))
    escaped = [part if part.startswith("``") else re.sub(r"\|(?=\S)|(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts]
    return "".join(escaped)


def _docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = [plain(line) for line in lines]


def _help(app: Sphinx, context: Any, lines: list[str]) -> None:
    lines[:] = [line if line.lstrip().startswith("..") else plain(line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Convert docstrings before napoleon reads them, and help texts before they are parsed."""
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", _help)
    return {"parallel_read_safe": True}
