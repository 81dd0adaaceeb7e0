"""``ganq-irl quickstart``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import early, options, session


@click.command("quickstart")
@click.option(
    "--out", type=options.UsablePath(), metavar="DIR", help="Where runs and pictures go.  [default: runs/quickstart-N]"
)
@options.seed
@options.device
@options.as_json
def command(out: Path | None, seed: int | None, device: str | None, as_json: bool) -> None:
    """Imitate an expert of Pendulum from shipped demonstrations and recover its reward, in about three minutes.

    GAIL, AIRL and behavioural cloning are compared with the expert, with random actions, and with the control: the same
    training against a frozen random discriminator. GAN-Q, which sees the reward, stands beside them. Writes a table, two
    pictures, and a run directory for each.
    """
    early.check(out=out)
    with session.working():
        from ganq_irl.studies.quickstart import CORRELATION, run_quickstart

        result = run_quickstart(out, seed=seed or 0, device=device or "auto")
    if as_json:
        session.print_json({"out": str(result.folder), **result.to_json()})
        return
    rewards = ", ".join(f"{name} {value:.2f}" for name, value in result.correlations.items())
    session.say(session.table(result.rows()))
    session.say(f"\n{CORRELATION}: {rewards}")
    session.say(f"{result.seconds:.0f} seconds. Pictures: {result.folder}/returns.png and {result.folder}/reward.png")
