"""``ganq-irl demos play``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ganq_irl.errors import printable, usable_path
from ganq_irl_cli import options, session

ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left"}
ARROWS |= {code.replace(b"[", b"O"): name for code, name in ARROWS.items()}
CLEAR = "\x1b[2J\x1b[H"


@click.command("play")
@click.option(
    "--env",
    type=options.ENV,
    metavar="ID",
    required=True,
    help="Gymnasium id of an environment with Discrete (or Box) actions.",
)
@options.max_episode_steps
@click.option("--window", is_flag=True, help="Play in a window, with keys that can be held; Box actions need one.")
@click.option("--episodes", type=click.IntRange(min=1), metavar="N", help="Stop after N episodes.  [default: until q]")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Seed of the first episode."
)
@click.option(
    "--fps", type=click.IntRange(min=1), metavar="N", help="Steps a second in a window.  [default: the environment's]"
)
@click.option(
    "--noop",
    type=int,
    metavar="ACTION",
    help="Discrete action while no key is held in a window.  [default: none, the environment waits]",
)
@click.option(
    "--strength",
    type=float,
    default=1.0,
    show_default=True,
    metavar="X",
    help="How far towards its bound a key moves a Box action in a window.",
)
@click.option("--out", type=options.UsablePath(), required=True, metavar="FILE", help="File to write, such as mine.npz.")
@options.as_json
def command(
    env: str,
    max_episode_steps: int | None,
    window: bool,
    episodes: int | None,
    seed: int,
    fps: int | None,
    noop: int | None,
    strength: float,
    out: Path,
    as_json: bool,
) -> None:
    """Record yourself at the keyboard, in the terminal or a window.

    In the terminal the environment waits for each key: digits and arrows are actions. In a window keys are held, arrows and
    letters move Box actions, and episodes begin with the first key. r begins an episode again, u undoes the last one, q
    saves and quits.
    """
    if usable_path(out).exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    if not window and not sys.stdin.isatty():
        raise click.UsageError("play needs a terminal to read keys from, or --window")
    with session.working(torch_threads=False):
        from ganq_irl_cli.commands.demos import _sources
        from ganq_irl_demos import save_demonstrations, summarize
        from ganq_irl_demos.formats import suffix_format
        from ganq_irl_demos.recording.play import PlaySession, play
        from ganq_irl_demos.recording.window import WindowPlay
        from ganq_irl_demos.recording.window_keys import keys_of

        suffix_format(out)  # an ending without a format is refused now, not after playing
        mode = _render_mode(env, "rgb_array" if window else "ansi")
        made = _sources.make(env, required=True, render_mode=mode, max_episode_steps=max_episode_steps)
        assert made is not None
        playing = PlaySession(made, seed)
        try:
            if window:
                keys = keys_of(made, noop=noop, strength=strength)
                played = WindowPlay(playing, keys, fps=fps).run(_show_line, episodes)
            else:
                with _keys() as read_key:
                    played = play(playing, read_key=read_key, show=_show, episodes=episodes)
        finally:
            made.close()
        if not len(played):
            raise click.UsageError("no episode was played to its end, so nothing was saved")
        save_demonstrations(played, out)
    if as_json:
        session.print_json({"out": str(out), **summarize(played)})
    else:
        session.say(f"{len(played)} episodes, {session.spread(played.returns)}: {out}")


def _render_mode(env: str, wanted: str) -> str | None:
    """``wanted`` where the environment can draw itself so."""
    from ganq_irl.runs.envs import probe_env

    probed = probe_env(env)
    modes = probed.metadata.get("render_modes", ())
    probed.close()
    return wanted if wanted in modes else None


def _show_line(line: str) -> None:
    """The live count; on a terminal it stays in its line."""
    if sys.stderr.isatty():
        click.echo(f"\r{printable(line)}\x1b[K", err=True, nl=False)
    elif "step 0 " in line:
        session.say(line, err=True)


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
