"""``ganq-irl reward retrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import early, options, session


@click.command("retrain")
@options.run_folder
@click.option("--algo", metavar="ALGO", help="What to train: ppo, sac, gan-q, ...  [default: the run's generator]")
@options.env
@click.option("--timesteps", type=int, metavar="N", help="Environment steps.  [default: the run's]")
@options.max_episode_steps
@options.seed
@options.device
@click.option("--out", type=options.UsablePath(), metavar="DIR", help="Run directory.  [default: runs/ALGO-ENV-SEED]")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting, such as generator_kwargs.gamma=0.97."
)
@options.as_json
def command(
    run: Path,
    out: Path | None,
    assignments: tuple[str, ...],
    max_episode_steps: int | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a fresh policy on the reward of RUN and measure its true return: what the reward is worth by itself.

    The same as `ganq-irl train ALGO --reward RUN` with RUN's own environment and generator.
    """
    early.check(out=out)
    with session.working():
        from ganq_irl.runs import run_experiment
        from ganq_irl.runs.rewards import retraining_config

        limit = {} if max_episode_steps is None else {"env_kwargs": options.with_limit(max_episode_steps)}
        result = run_experiment(retraining_config(run, flags | limit, assignments), out)
    if as_json:
        session.print_json({"run": str(result.folder), "reward": str(run), **result.evaluation.to_json()})
    else:
        session.say(f"{session.describe(result.evaluation)}\n{result.folder}")
