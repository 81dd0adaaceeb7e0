"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ganq_irl.errors import RunDirectoryError, usable_path


class UsablePath(click.Path):
    """A path that is valid on a file system; an invalid one is refused before any work starts."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            ConfigurationError: no file can have this name.
        """
        return usable_path(Path(os.fsdecode(super().convert(value, param, ctx))))


class EnvironmentId(click.ParamType):
    """The id of a registered Gymnasium environment.

    ``module:ID`` imports the module first, as in ``gym.make``: a user who types a module's name trusts it.
    """

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id without its module.

        Raises:
            ConfigurationError: Gymnasium does not know the environment, or the module cannot be imported.
        """
        import ganq_irl.environments  # noqa: F401  registers our own environments
        from ganq_irl.environments.lookup import check_env
        from ganq_irl.environments.own import import_environments

        module, colon, env_id = value.rpartition(":")
        if colon:
            import_environments([module])
        check_env(env_id)
        return env_id


class Count(click.IntRange):
    """A whole number, which help calls N."""

    def get_metavar(self, *args: Any, **kwargs: Any) -> str:
        """Return N."""
        return "N"


def _existing_folder(ctx: click.Context, parameter: click.Parameter, folder: Path) -> Path:
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise RunDirectoryError(f"{folder} {problem}; give a run directory that `ganq-irl train` wrote, or a saved reward")
    return folder


def _column_lists(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, list[str]]:
    """Parse ``FIELD=NAME,NAME`` into field -> names."""
    columns = {}
    for value in values:
        field, equals, names = value.partition("=")
        if not equals or not all(names.split(",")):
            raise click.UsageError(f"--columns {value!r}: expected FIELD=NAME[,NAME...]")
        columns[field] = names.split(",")
    return columns


def _env_kwargs(ctx: click.Context, parameter: click.Parameter, steps: int | None) -> dict[str, int] | None:
    """Return the environment keywords that limit its episodes to ``steps``; None for the environment's own limit."""
    return None if steps is None else {"max_episode_steps": steps}


ENV = EnvironmentId()
COUNT, INDEX = Count(min=1), Count(min=0)

run_folder = click.argument("run", type=UsablePath(), metavar="RUN", callback=_existing_folder)
demonstrations = click.argument("demonstrations", metavar="NAME-or-FILE")

env = click.option("--env", type=ENV, help="Gymnasium id of the environment, such as Pendulum-v1.")
recorded_in = click.option("--env", type=ENV, help="Environment of the recording, for formats that do not store its spaces.")
max_episode_steps = click.option(
    "--max-episode-steps",
    "env_kwargs",
    type=COUNT,
    callback=_env_kwargs,
    help="Truncate episodes after N steps.  [default: the environment's limit; if it has none, evaluations end episodes "
    "after 1000 steps]",
)
episodes = click.option("--episodes", type=COUNT, default=5, help="Episodes to play.")
seed = click.option("--seed", type=INDEX, help="Seed of all random numbers; the same seed gives the same result.")
first_seed = click.option("--seed", type=INDEX, default=0, help="Reset seed of the first episode.")
device = click.option("--device", metavar="DEVICE", help="auto (CUDA if available), cpu or cuda.  [default: auto]")

new_run = click.option("--out", type=UsablePath(), metavar="DIR", help="Run directory.  [default: runs/ALGO-ENV-SEED]")
run_settings = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting, such as generator_kwargs.gamma=0.97."
)

jobs = click.option("--jobs", type=COUNT, default=1, help="Runs at a time, a process each.")
engine = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Run in processes on this machine, or on a Ray cluster.",
)
gpus_per_run = click.option(
    "--gpus-per-run", type=click.FloatRange(min=0), default=0.0, metavar="X", help="GPUs that Ray reserves for a run."
)

columns = click.option(
    "--columns",
    multiple=True,
    callback=_column_lists,
    metavar="FIELD=NAME[,NAME...]",
    help="Columns of a table that hold a field: observations, actions, rewards, next_observations, terminated, truncated, "
    "dones, episode or step, or a usual short name such as obs. obs_* matches every column that starts with obs_.",
)
mask = click.option(
    "--mask", metavar="NAME", help="Episodes that a robomimic file lists under mask/NAME, such as train; same as FILE#NAME."
)
trust = click.option(
    "--trust", is_flag=True, help="Open a pickle, which can run any code. Use it only for files from someone you trust."
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else there.")
