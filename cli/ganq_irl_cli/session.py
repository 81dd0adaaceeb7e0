"""What commands do before and after their work: a quiet stdout, few threads, and results as text or JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ganq_irl.errors import printable

if TYPE_CHECKING:
    from ganq_irl.evaluation import Evaluation
    from ganq_irl.runs import RunResult
    from ganq_irl.runs.yardstick import Play


@contextlib.contextmanager
def working(torch_threads: bool = True) -> Iterator[None]:
    """Run a command's work: whatever libraries print goes to stderr, so that stdout holds the result alone.

    Torch is held to one thread unless OMP_NUM_THREADS says otherwise: for the small networks of this field more threads cost
    more than they bring, and several runs on one machine would fight for the cores. ``torch_threads=False`` is for commands
    that use no torch and should not wait for its import.
    """
    if torch_threads and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)
    shown_by, logging.lastResort = logging.lastResort, _Told(logging.WARNING)  # shows the log that nobody has configured
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.filterwarnings("ignore", module=r"imitation\.")  # of its use of torch, which no user can change
            yield
    finally:
        logging.lastResort = shown_by


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    """As Python shows a warning, without the colours that Gymnasium gives to its own."""
    say(re.sub(r"\x1b\[[0-9;]*m", "", warnings.formatwarning(message, category, filename, lineno, line)).rstrip(), err=True)


class _Told(logging.Handler):
    """Prints what is logged as ``say`` does."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        say(self.format(record), err=True)


def say(text: str, *, err: bool = False) -> None:
    """Print text on stdout, or on stderr: the one way by which commands do, so that nothing in it can control a terminal.

    A progress bar that is under way is cleared first and drawn again below.
    """
    progress = sys.modules.get("tqdm")
    with progress.tqdm.external_write_mode() if progress else contextlib.nullcontext():
        click.echo(printable(text), err=err)


def print_json(content: Any) -> None:
    """One JSON object on stdout; JSON spells out control characters by itself."""
    click.echo(json.dumps(content, indent=2, allow_nan=False))


def describe(evaluation: Evaluation) -> str:
    """An evaluation in one line."""
    text = f"return {evaluation.mean_return:.4g}"
    if evaluation.std_return is not None and evaluation.interval is not None:
        low, high = evaluation.interval
        text += f" ± {evaluation.std_return:.3g} (95 % interval of the mean {low:.4g} to {high:.4g})"
    if evaluation.normalized is not None and evaluation.references is not None:
        random, expert = evaluation.references
        text += f", {evaluation.normalized:.2f} of the way from random ({random:.4g}) to expert ({expert:.4g})"
    return f"{text}; {evaluation.episodes} episodes"


def print_run(result: RunResult, as_json: bool) -> None:
    """What a run ended with, and where it is."""
    yardstick = result.yardstick
    if as_json:
        content = {"run": str(result.folder), **result.evaluation.to_json(), "warning": result.warning}
        print_json(content | {"yardstick": None if yardstick is None else yardstick.to_json()})
        return
    say(describe(result.evaluation))
    if yardstick is not None:
        shown, random = _describe_play(yardstick.demonstrations), _describe_play(yardstick.random)
        length = result.evaluation.mean_length
        say(f"episodes last {length:.4g} steps; demonstrations: {shown}; random actions: {random}")
    say(str(result.folder))


def _describe_play(play: Play) -> str:
    returned = "return unknown" if play.mean_return is None else f"return {play.mean_return:.4g}"
    return f"{returned}, {play.mean_length:.4g} steps"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text, the first one the header, in aligned columns."""
    cells = [[printable(cell).replace("\n", "\\n").replace("\t", "\\t") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def number(value: float | None) -> str:
    """A correlation or the like to two places; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}"


def spread(returns: Any) -> str:
    """Mean, standard deviation and range of returns in a few words."""
    if returns is None:
        return "returns unknown"
    return f"return {returns.mean():.4g} ± {returns.std():.3g} ({returns.min():.4g} to {returns.max():.4g})"
