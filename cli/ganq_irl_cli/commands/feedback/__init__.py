"""``ganq-irl feedback``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "serve": "Open a page on which a person compares or rates clips.",
    "inspect": "Summarize questions: answers, people, segments.",
    "check": "Find damaged or missing files of questions.",
}


@click.group("feedback", cls=LazyGroup, package="ganq_irl_cli.commands.feedback", table=COMMANDS)
def command() -> None:
    """Answer which of two clips is better, or how good one is, and look at the answers.

    RUN is a run directory of `train preferences`, or a folder with questions.
    """
