"""``ganq-irl reward``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "show": "Show the origin of a reward, its correlation with the true one, and pictures.",
    "compare": "Compare rewards by EPIC distance and correlation.",
    "transfer": "Retrain on a reward in an environment with other dynamics.",
    "retrain": "Train a new policy on a reward and measure its true return.",
    "export": "Export a reward to ONNX or torch.export.",
}


@click.group("reward", cls=LazyGroup, package="ganq_irl_cli.commands.reward", table=COMMANDS)
def command() -> None:
    """Show, compare and reuse recovered rewards. RUN is a run directory, or the folder of a saved reward."""
