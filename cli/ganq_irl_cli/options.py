"""Options that several commands share, each explained once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ganq_irl.errors import RunDirectoryError, usable_path


class UsablePath(click.Path):
    """A path that a file system can be asked for; one that cannot be is refused before any work is done."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or an error of ours in a sentence."""
        return usable_path(Path(os.fsdecode(super().convert(value, param, ctx))))


def _existing(ctx: click.Context, parameter: click.Parameter, folder: Path) -> Path:
    """A folder that is there, told before torch is imported.

    Raises:
        RunDirectoryError: nothing is, or a file.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "is not there"
        raise RunDirectoryError(f"{folder} {what}; give a run such as `ganq-irl train` writes, or a folder of a reward")
    return folder


class EnvironmentId(click.ParamType):
    """A Gymnasium id. ``module:ID`` imports the module first, as ``gym.make`` does: whoever types it trusts it."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id alone; the module is imported, as by ``--import``."""
        module, colon, env_id = value.partition(":")
        if not colon:
            return value
        from ganq_irl.environments.own import import_environments

        import_environments([module])
        return env_id


ENV = EnvironmentId()


def with_limit(steps: int | None) -> dict[str, int]:
    """Keywords of an environment whose episodes have that many steps at most; none where its own limit stands."""
    return {} if steps is None else {"max_episode_steps": steps}


env = click.option("--env", type=ENV, metavar="ID", help="Gymnasium id of the environment, such as Pendulum-v1.")
max_episode_steps = click.option(
    "--max-episode-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Truncate episodes after N steps.  [default: the environment's limit; if it has none, 1000 outside of training]",
)
seed = click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of everything random; the same seed repeats a run."
)
device = click.option("--device", metavar="DEVICE", help="auto (a GPU where there is one), cpu or cuda.  [default: auto]")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else there.")
run_folder = click.argument("run", type=UsablePath(), metavar="RUN", callback=_existing)
demonstrations = click.argument("demonstrations", metavar="NAME-or-FILE")
