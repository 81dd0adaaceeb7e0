"""``ganq-irl demos``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "list": "List the shipped demonstrations.",
    "record": "Record episodes of a run, a function, or a newly trained expert.",
    "play": "Record yourself at the keyboard.",
    "import": "Import demonstrations of another library to .npz.",
    "export": "Export demonstrations to the format of another library.",
    "convert": "Convert demonstrations between any two formats.",
    "inspect": "Summarize demonstrations: returns, lengths, ranges, origin.",
    "check": "Find mistakes in demonstrations, by trajectory, step and field.",
}


@click.group("demos", cls=LazyGroup, package="ganq_irl_cli.commands.demos", table=COMMANDS)
def command() -> None:
    """List, record, play, import, export, convert, inspect and check demonstrations."""
