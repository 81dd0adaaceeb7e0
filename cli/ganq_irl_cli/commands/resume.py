"""``ganq-irl resume``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("resume")
@options.run_folder
@click.option(
    "--timesteps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train to N steps in all, also beyond the end of a finished run.  [default: as the run was asked for]",
)
@options.as_json
def command(run: Path, timesteps: int | None, as_json: bool) -> None:
    """Go on with the run in RUN, from its newest checkpoint that is whole, to the end that its settings ask for.

    On a CPU it ends as if it had never stopped, bit for bit, but in Box2D and MuJoCo only with --set exact_checkpoints=true.
    `train --checkpoint-every N` makes checkpoints, and so does an interrupt: Ctrl-C, SIGTERM, or a
    terminal that closes.

    With --timesteps, scheduled rates are those of a run of N steps: one that had decayed rises again.
    """
    with session.working():
        from ganq_irl.runs import resume_experiment

        result = resume_experiment(run, timesteps=timesteps)
        if result.warning is not None:
            session.say(f"Warning: {result.warning}", err=True)
    session.print_run(result, as_json)
