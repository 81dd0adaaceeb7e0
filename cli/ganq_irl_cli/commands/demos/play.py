"""``ganq-irl demos play``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ganq_irl_cli import options, session

ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left"}
ARROWS |= {code.replace(b"[", b"O"): name for code, name in ARROWS.items()}
CLEAR = "\x1b[2J\x1b[H"


@click.command("play")
@click.option("--env", metavar="ID", required=True, help="Gymnasium id of an environment with Discrete actions.")
@click.option("--episodes", type=click.IntRange(min=1), metavar="N", help="Stop after N episodes.  [default: until q]")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Seed of the first episode."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File to write, such as mine.npz."
)
@options.as_json
def command(env: str, episodes: int | None, seed: int, out: Path, as_json: bool) -> None:
    """Record yourself at the keyboard, in the terminal; the environment waits for each key.

    Digits and arrows are actions. r begins an episode again, u undoes the last one, q saves and quits.
    """
    if out.exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    if not sys.stdin.isatty():
        raise click.UsageError("play needs a terminal to read keys from")
    with session.working(torch_threads=False):
        from ganq_irl_cli.commands.demos import _sources
        from ganq_irl_demos import save_demonstrations, summarize
        from ganq_irl_demos.formats import suffix_format
        from ganq_irl_demos.playing import PlaySession, play

        suffix_format(out)  # an ending without a format is refused now, not after playing
        made = _sources.make(env, required=True, render_mode=_text_mode(env))
        assert made is not None
        with _keys() as read_key:
            played = play(PlaySession(made, seed), read_key=read_key, show=_show, episodes=episodes)
        made.close()
        if not len(played):
            raise click.UsageError("no episode was played to its end, so nothing was saved")
        save_demonstrations(played, out)
    if as_json:
        session.print_json({"out": str(out), **summarize(played)})
    else:
        click.echo(f"{len(played)} episodes, {session.spread(played.returns)}: {out}")


def _text_mode(env: str) -> str | None:
    """``ansi`` where the environment draws itself as text."""
    import gymnasium as gym

    from ganq_irl.experiment.envs import probe_env

    probed = probe_env(env)
    modes = probed.metadata.get("render_modes", ())
    probed.close()
    return "ansi" if env in gym.registry and "ansi" in modes else None


def _show(screen: str) -> None:
    click.echo(CLEAR + screen.replace("\n", "\r\n"), err=True)


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Keys as they are pressed, without waiting for a line; the terminal is left as it was found."""
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
    """One key. An arrow arrives as three bytes that begin with escape, perhaps not all at once."""
    import select

    code = os.read(terminal, 1)
    while code in (b"\x1b", b"\x1b[", b"\x1bO") and select.select([terminal], [], [], 0.2)[0]:
        code += os.read(terminal, 1)
    if code == b"\x04":  # end of input
        return ""
    return ARROWS.get(code, code.decode("utf-8", "replace"))
