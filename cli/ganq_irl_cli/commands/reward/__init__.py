"""``ganq-irl reward``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "show": "Where a reward comes from, how it relates to the true one, and pictures.",
    "compare": "EPIC distances and correlations of rewards.",
    "transfer": "Retrain on a reward where the dynamics differ, beside the true reward and the moved policy.",
    "retrain": "Train a fresh policy on a reward, and measure its true return.",
    "export": "Write a reward as ONNX or as a torch.export program.",
}


@click.group("reward", cls=LazyGroup, package="ganq_irl_cli.commands.reward", table=COMMANDS)
def command() -> None:
    """Look at recovered rewards, compare them, and use them again. RUN is a run directory, or the folder of a reward."""
