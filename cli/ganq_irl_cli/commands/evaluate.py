"""``ganq-irl evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("evaluate")
@options.run_folder
@click.option(
    "--episodes", type=click.IntRange(min=1), metavar="N", help="Episodes to play.  [default: the run's own setting]"
)
@options.seed
@options.device
@options.as_json
def command(run: Path, episodes: int | None, seed: int | None, device: str | None, as_json: bool) -> None:
    """Play episodes with the policy of the run directory RUN and measure its true return."""
    with session.working():
        from ganq_irl.experiment import load_run
        from ganq_irl.experiment.runner import evaluate_run_policy

        loaded = load_run(run)
        evaluation, _ = evaluate_run_policy(loaded.config, loaded.policy(device or "auto"), episodes=episodes, seed=seed)
    if as_json:
        session.print_json({"run": str(run), **evaluation.to_json()})
    else:
        click.echo(session.describe(evaluation))
