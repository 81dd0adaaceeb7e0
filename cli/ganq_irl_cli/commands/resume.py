"""``ganq-irl resume``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("resume")
@options.run_folder
@options.as_json
def command(run: Path, as_json: bool) -> None:
    """Go on with the run in RUN, from its newest checkpoint that is whole, to the end that its settings ask for.

    On a CPU it ends as if it had never stopped, bit for bit. `train --checkpoint-every N` makes checkpoints, and so does an
    interrupt: Ctrl-C, SIGTERM, or a terminal that closes.
    """
    with session.working():
        from ganq_irl.experiment import resume_experiment

        result = resume_experiment(run)
        if result.warning is not None:
            session.say(f"Warning: {result.warning}", err=True)
    if as_json:
        session.print_json({"run": str(result.folder), **result.evaluation.to_json(), "warning": result.warning})
    else:
        session.say(f"{session.describe(result.evaluation)}\n{result.folder}")
