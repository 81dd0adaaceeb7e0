"""``ganq-irl demos play``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ganq_irl.errors import printable, usable_path
from ganq_irl_cli import options, session


@click.command("play")
@click.option(
    "--env",
    type=options.ENV,
    required=True,
    help="Gymnasium id of an environment with Discrete actions, or Box actions in a window.",
)
@options.max_episode_steps
@click.option("--window", is_flag=True, help="Play in a window, where keys can be held. Needed for Box actions.")
@click.option("--episodes", type=options.COUNT, help="Stop after N episodes.  [default: until q is pressed]")
@options.first_seed
@click.option("--fps", type=options.COUNT, help="Steps per second in a window.  [default: the environment's]")
@click.option(
    "--noop",
    type=int,
    metavar="ACTION",
    help="Discrete action while no key is held in a window.  [default: the environment waits]",
)
@click.option("--strength", default=1.0, metavar="X", help="Share of a Box action's bound that a key gives in a window.")
@click.option("--out", type=options.UsablePath(), required=True, metavar="FILE", help="File to write, such as mine.npz.")
@options.as_json
def command(
    env: str,
    env_kwargs: dict[str, int] | None,
    window: bool,
    episodes: int | None,
    seed: int,
    fps: int | None,
    noop: int | None,
    strength: float,
    out: Path,
    as_json: bool,
) -> None:
    """Record yourself at the keyboard, in the terminal or in a window.

    In the terminal the environment waits for each key; digits and arrows are actions. In a window keys can be held, arrows
    and letters move Box actions, and an episode starts with the first key. Press r to restart an episode, u to undo the last
    one, and q to save and quit.
    """
    if usable_path(out).exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    if not window and not sys.stdin.isatty():
        raise click.UsageError("standard input is not a terminal; give --window, or run the command in a terminal")
    with session.working(torch_threads=False):
        from ganq_irl.errors import EnvironmentFailed
        from ganq_irl.runs.envs import probe_env
        from ganq_irl_demos import describe, save_demonstrations
        from ganq_irl_demos.formats import suffix_format
        from ganq_irl_demos.recording.play import PlaySession, play
        from ganq_irl_demos.recording.terminal import keys, show
        from ganq_irl_demos.recording.window import WindowPlay
        from ganq_irl_demos.recording.window_keys import keys_of
        from ganq_irl_demos.summary import spread

        suffix_format(out)  # refuses a suffix without a format before playing
        probed, mode = probe_env(env), "rgb_array" if window else "ansi"
        probed.close()
        rendering = {"render_mode": mode} if mode in probed.metadata.get("render_modes", ()) else {}
        made = probe_env(env, rendering | (env_kwargs or {}))
        playing = PlaySession(made, seed)
        try:
            if window:
                held = keys_of(made, noop=noop, strength=strength)
                played = WindowPlay(playing, held, fps=fps).run(_show_line, episodes)
            else:
                with keys() as read_key:
                    played = play(playing, read_key=read_key, show=show, episodes=episodes)
        except EnvironmentFailed:
            if playing.kept:
                save_demonstrations(playing.demonstrations(), out)
                session.say(f"{len(playing.kept)} episodes that were finished before are saved: {out}", err=True)
            raise
        finally:
            made.close()
        if not len(played):
            raise click.UsageError("no episode was finished, so nothing was saved")
        save_demonstrations(played, out)
    summary = describe(played)
    text = f"{len(played)} episodes, return {spread(summary['returns'])}: {out}"
    session.show({"out": str(out), **summary}, text, as_json)


def _show_line(line: str) -> None:
    """Show the live count of steps; on a terminal it overwrites the last one."""
    if sys.stderr.isatty():
        click.echo(f"\r{printable(line)}\x1b[K", err=True, nl=False)
    elif "step 0 " in line:
        session.say(line, err=True)
