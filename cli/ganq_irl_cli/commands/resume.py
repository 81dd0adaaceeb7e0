"""``ganq-irl resume``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("resume")
@options.run_folder
@click.option(
    "--timesteps",
    type=options.COUNT,
    help="Train to N steps in total, also to extend a finished run.  [default: the run's own setting]",
)
@options.as_json
def command(run: Path, timesteps: int | None, as_json: bool) -> None:
    """Continue the run in RUN from its latest complete checkpoint.

    On a CPU the result is the same, bit for bit, as without the interruption; Box2D and MuJoCo need a run with --set
    exact_checkpoints=true for that. Checkpoints come from `train --checkpoint-every N`, and from an interruption: Ctrl-C,
    SIGTERM, or a closed terminal.

    With --timesteps N, schedules are stretched to N steps, so a learning rate that had decayed rises again.
    """
    with session.working():
        from ganq_irl.runs import resume_experiment

        result = resume_experiment(run, timesteps=timesteps)
        if result.warning is not None:
            session.say(f"Warning: {result.warning}", err=True)
    session.print_run(result, as_json)
