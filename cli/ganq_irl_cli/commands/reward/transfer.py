"""``ganq-irl reward transfer``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import options, session

if TYPE_CHECKING:
    from ganq_irl.studies.reward_transfer import Transfer

_TITLES = {
    "recovered": "retrained on the recovered reward",
    "true": "trained on the true reward",
    "moved": "the run's policy, not retrained",
    "random": "random actions",
}


@click.command("transfer")
@options.run_folder
@click.option("--to", type=options.ENV, required=True, help="Gymnasium id of the environment to retrain in.")
@click.option("--generator", default="fast-ppo", metavar="NAME", help="Algorithm to train: fast-ppo, sac, gan-q, ...")
@click.option("--timesteps", type=int, metavar="N", help="Environment steps of each training.  [default: from the presets]")
@options.max_episode_steps
@options.seed
@options.device
@click.option(
    "--out",
    type=options.UsablePath(file_okay=False),
    metavar="DIR",
    help="Folder for both runs and transfer.json; an interrupted one is continued.  [default: runs/transfer-ALGO-ENV-SEED]",
)
@options.as_json
def command(run: Path, to: str, device: str | None, as_json: bool, **settings: Any) -> None:
    """Retrain on the reward of RUN in an environment with other dynamics.

    Compares the result with training on the true reward, with the policy of RUN without retraining, and with random
    actions. The score is 0 for random actions and 1 for training on the true reward. ganq-irl ships pairs of environments
    for this, such as ganq_irl/PointMaze-v0 and ganq_irl/ShiftedPointMaze-v0.
    """
    with session.working():
        from ganq_irl.studies.reward_transfer import transfer_reward

        announce = partial(session.say, err=True)
        result = transfer_reward(run, to, device=device or "auto", announce=announce, **settings)
    session.show(result.to_json(), _text(result), as_json)


def _text(result: Transfer) -> str:
    rows = [(result.tested_in, "return", "95 % interval", "score")]
    for name, title in _TITLES.items():
        evaluation = result.evaluations[name]
        low_high = "-" if evaluation.interval is None else "{:.4g} to {:.4g}".format(*evaluation.interval)
        rows.append((title, f"{evaluation.mean_return:.4g}", low_high, session.number(evaluation.normalized)))
    return session.table(rows)
