"""Single keys and whole screens in a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left"}
ARROWS |= {code.replace(b"[", b"O"): name for code, name in ARROWS.items()}
CLEAR = "\x1b[2J\x1b[H"


def show(screen: str) -> None:
    """Replace what standard error shows."""
    sys.stderr.write(CLEAR + screen.replace("\n", "\r\n") + "\n")
    sys.stderr.flush()


@contextlib.contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """Read keys without waiting for a line; restore the terminal afterwards.

    Arrows are called ``left right up down``, and the end of the input is "".
    """
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield lambda: _read_key(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_key(terminal: int) -> str:
    """Read one key. An arrow key arrives as three bytes that start with escape, perhaps not all at once."""
    import select

    code = os.read(terminal, 1)
    while code in (b"\x1b", b"\x1b[", b"\x1bO") and select.select([terminal], [], [], 0.2)[0]:
        code += os.read(terminal, 1)
    if code == b"\x04":  # end of input
        return ""
    return ARROWS.get(code, code.decode("utf-8", "replace"))
