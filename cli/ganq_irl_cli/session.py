"""Set-up and output of commands: one thread, a clean stdout, and results as text or JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ganq_irl.errors import printable, thread_error

if TYPE_CHECKING:
    from ganq_irl.evaluation import Evaluation
    from ganq_irl.runs import RunResult
    from ganq_irl.runs.yardstick import Play


@contextlib.contextmanager
def working(torch_threads: bool = True) -> Iterator[None]:
    """Redirect what libraries print to stderr while a command works, so that stdout holds only the result.

    Torch uses one thread unless OMP_NUM_THREADS is set: the networks are small, so more threads slow them down, and parallel
    runs would compete for the cores.

    Args:
        torch_threads: whether to limit the threads; commands that do not use torch skip its import with False.
    """
    if torch_threads and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)
    shown_by, logging.lastResort = logging.lastResort, _LogPrinter(logging.WARNING)  # prints logs that have no handler
    threads_told_by, threading.excepthook = threading.excepthook, lambda args: say(thread_error(args), err=True)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.filterwarnings("ignore", module=r"imitation\.")  # about its own use of torch
            yield
    finally:
        logging.lastResort, threading.excepthook = shown_by, threads_told_by


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    """Print a warning as Python does, without Gymnasium's colors."""
    say(re.sub(r"\x1b\[[0-9;]*m", "", warnings.formatwarning(message, category, filename, lineno, line)).rstrip(), err=True)


class _LogPrinter(logging.Handler):
    """Prints log messages with ``say``."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        say(self.format(record), err=True)


def say(text: str, *, err: bool = False) -> None:
    """Print text to stdout or stderr, with control characters escaped so that no text can control the terminal.

    Commands print only through this function. A progress bar is cleared first and redrawn below the text.
    """
    progress = sys.modules.get("tqdm")
    with progress.tqdm.external_write_mode() if progress else contextlib.nullcontext():
        click.echo(printable(text), err=err)


def show(content: Any, text: str, as_json: bool, *, err: bool = False) -> None:
    """Print the result of a command: ``content`` as a JSON object on stdout, or ``text`` there or on stderr."""
    if as_json:
        click.echo(json.dumps(content, indent=2, allow_nan=False))  # JSON escapes control characters itself
    else:
        say(text, err=err)


def describe(evaluation: Evaluation) -> str:
    """Return an evaluation as one line of text."""
    text = f"return {evaluation.mean_return:.4g}"
    if evaluation.std_return is not None and evaluation.interval is not None:
        low, high = evaluation.interval
        text += f" ± {evaluation.std_return:.3g} (95 % interval of the mean {low:.4g} to {high:.4g})"
    if evaluation.normalized is not None and evaluation.references is not None:
        random, expert = evaluation.references
        text += f", normalized score {evaluation.normalized:.2f} (random {random:.4g} is 0, expert {expert:.4g} is 1)"
    if evaluation.heldout_distance is not None and evaluation.heldout_interval is not None:
        low, high = evaluation.heldout_interval
        text += f", distance from held-out demonstrations {evaluation.heldout_distance:.3f} ({low:.3f} to {high:.3f})"
    return f"{text}; {evaluation.episodes} episodes"


def print_run(result: RunResult, as_json: bool) -> None:
    """Print the evaluation and the folder of a finished run."""
    yardstick, lines = result.yardstick, [describe(result.evaluation)]
    content = {"run": str(result.folder), **result.evaluation.to_json(), "warning": result.warning}
    content["yardstick"] = None if yardstick is None else yardstick.to_json()
    if yardstick is not None:
        shown, random = _describe_play(yardstick.demonstrations), _describe_play(yardstick.random)
        length = result.evaluation.mean_length
        lines.append(f"mean episode length {length:.4g} steps; demonstrations: {shown}; random actions: {random}")
    show(content, "\n".join([*lines, str(result.folder)]), as_json)


def _describe_play(play: Play) -> str:
    returned = "return unknown" if play.mean_return is None else f"return {play.mean_return:.4g}"
    return f"{returned}, {play.mean_length:.4g} steps"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows of text in aligned columns; the first row is the header."""
    cells = [[printable(cell).replace("\n", "\\n").replace("\t", "\\t") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def number(value: float | None) -> str:
    """Return a number with two decimal places, or a dash for None."""
    return "-" if value is None else f"{value:.2f}"
