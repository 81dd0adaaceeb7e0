"""``ganq-irl quickstart``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("quickstart")
@click.option(
    "--out", type=options.UsablePath(), metavar="DIR", help="Folder for runs and pictures.  [default: runs/quickstart-N]"
)
@options.seed
@options.device
@options.as_json
def command(out: Path | None, seed: int | None, device: str | None, as_json: bool) -> None:
    """Imitate a Pendulum expert from shipped demonstrations and recover its reward, in about three minutes.

    Compares GAIL, AIRL and behavioral cloning with the expert, with random actions, and with a control: GAIL against a
    frozen random discriminator. Also trains GAN-Q, which sees the true reward. Prints a table, and writes two pictures and a
    run directory for each method.
    """
    from ganq_irl.files import require_vacant

    if out is not None:
        require_vacant(out)
    with session.working():
        from ganq_irl.studies.quickstart import CORRELATION, run_quickstart

        result = run_quickstart(out, seed=seed or 0, device=device or "auto")
    rewards = ", ".join(f"{name} {value:.2f}" for name, value in result.correlations.items())
    pictures = f"{result.folder}/returns.png and {result.folder}/reward.png"
    told = f"{CORRELATION}: {rewards}\n{result.seconds:.0f} seconds. Pictures: {pictures}"
    session.show({"out": str(result.folder), **result.to_json()}, f"{session.table(result.rows())}\n\n{told}", as_json)
