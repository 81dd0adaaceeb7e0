"""``ganq-irl feedback``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "serve": "Open a page on which a person compares clips.",
    "inspect": "Summarize comparisons: answers, people, segments.",
    "check": "Find damaged or missing files of comparisons.",
}


@click.group("feedback", cls=LazyGroup, package="ganq_irl_cli.commands.feedback", table=COMMANDS)
def command() -> None:
    """Answer which of two clips is better, and look at the answers.

    RUN is a run directory of `train preferences`, or a folder with comparisons.
    """
