"""``ganq-irl demos``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "list": "Show the shipped demonstrations.",
    "record": "Record episodes of a run, a function, or an expert trained for it.",
    "play": "Record yourself at the keyboard.",
    "import": "Bring demonstrations of another library into .npz.",
    "export": "Write demonstrations in the format of another library.",
    "convert": "Turn demonstrations of any format into any other.",
    "inspect": "Summarise demonstrations: returns, lengths, ranges, origin.",
    "check": "Look for mistakes, down to trajectory, step and field.",
}


@click.group("demos", cls=LazyGroup, package="ganq_irl_cli.commands.demos", table=COMMANDS)
def command() -> None:
    """List, record, play, import, export, convert, inspect and check demonstrations."""
