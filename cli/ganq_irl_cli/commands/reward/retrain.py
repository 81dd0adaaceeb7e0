"""``ganq-irl reward retrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import options, session


@click.command("retrain")
@options.run_folder
@click.option("--algo", metavar="ALGO", help="Algorithm to train: ppo, sac, gan-q, ...  [default: the run's generator]")
@options.env
@click.option("--timesteps", type=int, metavar="N", help="Environment steps.  [default: the run's]")
@options.max_episode_steps
@options.seed
@options.device
@options.new_run
@options.run_settings
@options.as_json
def command(run: Path, out: Path | None, assignments: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Train a new policy on the reward of RUN and measure its true return, to see what the reward alone is worth.

    Same as `ganq-irl train ALGO --reward RUN` with the environment and generator of RUN.
    """
    from ganq_irl.files import require_vacant

    if out is not None:
        require_vacant(out)
    with session.working():
        from ganq_irl.runs import run_experiment
        from ganq_irl.runs.rewards import retraining_config

        result = run_experiment(retraining_config(run, flags, assignments), out)
    content = {"run": str(result.folder), "reward": str(run), **result.evaluation.to_json()}
    session.show(content, f"{session.describe(result.evaluation)}\n{result.folder}", as_json)
