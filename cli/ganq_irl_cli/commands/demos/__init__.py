"""``ganq-irl demos``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "list": "Show the shipped demonstrations.",
    "record": "Record episodes of a trained policy.",
    "inspect": "Summarise demonstrations: returns, lengths, ranges, origin.",
    "check": "Look for mistakes, down to trajectory, step and field.",
}


@click.group("demos", cls=LazyGroup, package="ganq_irl_cli.commands.demos", table=COMMANDS)
def command() -> None:
    """List, record, inspect and check demonstrations."""
