"""What import, export and convert share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import session

trust = click.option(
    "--trust", is_flag=True, help="Open a pickled replay buffer, which can run any code in it: only if you know who made it."
)
columns = click.option(
    "--columns",
    multiple=True,
    metavar="FIELD=NAME[,NAME...]",
    help="Columns of a table that hold observations, actions, rewards, next_observations, terminated, truncated, dones, "
    "episode or step, or other usual names of these, such as obs; obs_* stands for all that begin so.",
)

mask = click.option(
    "--mask", metavar="NAME", help="Episodes that a robomimic file names under mask/NAME, such as train; as FILE#NAME does."
)


def masked(source: str, mask: str | None) -> str:
    """A source, of which only the episodes of a mask are meant."""
    return source if mask is None else f"{source}#{mask}"


def column_mapping(assignments: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """``FIELD=NAME,NAME`` assignments as a mapping.

    Raises:
        UsageError: not of that form.
    """
    mapping = {}
    for assignment in assignments:
        field, equals, names = assignment.partition("=")
        if not equals or not all(names.split(",")):
            raise click.UsageError(f"--columns {assignment!r}: expected FIELD=NAME[,NAME...]")
        mapping[field] = tuple(names.split(","))
    return mapping


def column_lists(assignments: tuple[str, ...]) -> dict[str, list[str]]:
    """The same as settings hold it.

    Raises:
        UsageError: as ``column_mapping``.
    """
    return {field: list(names) for field, names in column_mapping(assignments).items()}


def environment(env: str | None) -> dict[str, Any]:
    """Spaces and id of an environment for a reader; nothing where none was named."""
    if env is None:
        return {}
    from ganq_irl.runs.envs import probe_env

    made = probe_env(env)
    told = {"observation_space": made.observation_space, "action_space": made.action_space, "env_id": env}
    made.close()
    return told


def run(
    source: str,
    out: str,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    env: str | None = None,
    columns: tuple[str, ...] = (),
    trust: bool = False,
    download: bool = False,
    as_json: bool = False,
) -> None:
    """Convert, and say what was done."""
    with session.working(torch_threads=False):
        from ganq_irl.progress import make_progress_bar
        from ganq_irl_demos.converting import convert_demonstrations
        from ganq_irl_demos.streams import Request

        request = Request(**environment(env), columns=column_mapping(columns), trust=trust, download=download)
        with make_progress_bar(desc="converting", unit="step", unit_scale=True, leave=False, delay=1) as bar:
            done = convert_demonstrations(
                source, out, read_as=read_as, write_as=write_as, request=request, progress=bar.update
            )
    if as_json:
        session.print_json(dataclasses.asdict(done))
        return
    session.say(
        f"{done.out}: {done.episodes} episodes, {done.transitions} transitions ({done.read_as} -> {done.written_as})"
    )
    for note in done.notes:
        session.say(f"note: {note}", err=True)
    for name in done.missing:
        session.say(f"note: there are no {name.replace('_', ' ')}", err=True)


def default_out(source: str, suffix: str) -> str:
    """The name of the source in the working directory, with another ending."""
    return Path(source.rpartition(":")[2]).name.partition(".")[0] + suffix
