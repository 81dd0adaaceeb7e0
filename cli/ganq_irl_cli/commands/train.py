"""``ganq-irl train``."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import early, options, session
from ganq_irl_cli.commands.demos import _converting

if TYPE_CHECKING:
    from ganq_irl.runs import ExperimentConfig, RunResult


@click.command("train")
@click.argument("algo", metavar="ALGO")
@options.env
@click.option(
    "--demos", metavar="NAME-or-FILE", help="Demonstrations to imitate: shipped ones (see `demos list`) or a file."
)
@click.option(
    "--trust",
    is_flag=True,
    help="Import a pickled replay buffer given as --demos to NAME.npz here, and train on that; opening it can run any code.",
)
@click.option(
    "--n-trajectories", type=int, metavar="N", help="Use N of the trajectories, drawn with the seed.  [default: all]"
)
@click.option(
    "--generator",
    metavar="NAME",
    help="What imitation trains: fast-ppo, sac, gan-q, ...  [default: fast-ppo; for dac, sqil and iq-learn sac, or dqn]",
)
@click.option("--reward", metavar="RUN-or-REWARD", help="Train ppo, sac, ... on a recovered reward, not the environment's.")
@click.option("--timesteps", type=int, metavar="N", help="Environment steps (bc: --set bc.n_updates=N).  [default: 100000]")
@options.max_episode_steps
@_converting.columns
@options.seed
@options.device
@click.option("--out", type=options.UsablePath(), metavar="DIR", help="Run directory.  [default: runs/ALGO-ENV-SEED]")
@click.option(
    "--config", "file", type=options.UsablePath(), metavar="FILE.toml", help="Settings, as in a run's config.toml."
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting, such as generator_kwargs.gamma=0.97."
)
@click.option(
    "--preset", metavar="NAME", help="Known settings, or none.  [default: the one for ALGO and ENV, where there is one]"
)
@click.option(
    "--control", metavar="frozen", help="frozen: leave the discriminator at its random weights, to see what imitation adds."
)
@click.option(
    "--checkpoint-every", type=int, metavar="N", help="Steps between checkpoints, for `resume`.  [default: if interrupted]"
)
@click.option(
    "--wandb", metavar="PROJECT", help="Show the run in Weights & Biases; WANDB_MODE=offline keeps it on this machine."
)
@click.option(
    "--show-settings", is_flag=True, help="Print all settings of the run with their meanings, as TOML, and train nothing."
)
@options.as_json
def command(
    algo: str,
    out: Path | None,
    file: Path | None,
    assignments: tuple[str, ...],
    trust: bool,
    wandb: str | None,
    show_settings: bool,
    max_episode_steps: int | None,
    columns: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Train ALGO and write a run directory: settings, versions, progress, policy, reward, evaluation.

    \b
    ALGO by imitation:       gail airl dac fairl wail vail gaifo sqil iq-learn bc
    ALGO by reinforcement:   gan-q gan-q-continuous ppo fast-ppo a2c trpo sac td3 ddpg dqn qrdqn

    Settings come from, first wins: flags, --set, --config, preset, defaults. To repeat a run, give its own config.toml.
    """  # noqa: D301  # click wants the character
    early.check(envs=[flags["env"]], demos=flags["demos"], out=None if show_settings else out)
    with session.working():
        from ganq_irl.runs import resolve_config

        if trust and show_settings:
            raise click.UsageError("--show-settings imports nothing; leave --trust out")
        flags |= {"env_kwargs": options.with_limit(max_episode_steps), "columns": _converting.column_lists(columns)}
        if trust:
            flags["demos"] = _imported(flags["demos"], flags["env"])
        config = resolve_config({"algo": algo, **flags}, assignments=assignments, file=file)
        if config.preset != "none":
            session.say(f"settings of the preset {config.preset} are included (--preset none leaves them out)", err=True)
        result = None if show_settings else _trained(config, out, wandb)
    if result is not None:
        session.print_run(result, as_json)
    elif as_json:
        session.print_json(dataclasses.asdict(config))
    else:
        from ganq_irl.runs.explained import explained_settings

        session.say(explained_settings(config))


def _trained(config: ExperimentConfig, out: Path | None, wandb: str | None) -> RunResult:
    from ganq_irl.runs import run_experiment

    with contextlib.ExitStack() as stack:
        watched = None
        if wandb is not None:
            from ganq_irl.runs.directory import default_folder
            from ganq_irl.runs.tracking import watched_by_wandb

            out = default_folder(config) if out is None else out
            watched = stack.enter_context(watched_by_wandb(wandb, config, out))
        result = run_experiment(config, out, callback=None if watched is None else watched.callback)
        if watched is not None:
            watched.conclude(result)
    if result.warning is not None:
        session.say(f"Warning: {result.warning}", err=True)
    return result


def _imported(demos: str | None, env: str | None) -> str:
    """A replay buffer that is trusted as a file that needs no trust, so that the run can be repeated and resumed."""
    from ganq_irl.errors import usable_path
    from ganq_irl_demos.converting import convert_demonstrations
    from ganq_irl_demos.formats import replay_buffer
    from ganq_irl_demos.streams import Request

    if demos is None or not replay_buffer.recognise(usable_path(demos)):
        raise click.UsageError("--trust is for a pickled replay buffer given as --demos")
    target = _converting.default_out(demos, ".npz")
    if Path(target).exists():
        raise click.UsageError(f"{target}, into which {demos} would be imported, exists: train on it, or move it away")
    convert_demonstrations(demos, target, request=Request(**_converting.environment(env), trust=True))
    session.say(f"{demos} was imported to {target}, which the run names as its demonstrations", err=True)
    return target
