"""``ganq-irl presets``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "list": "List the presets.",
    "show": "Print the settings of a preset as TOML.",
}


@click.group("presets", cls=LazyGroup, package="ganq_irl_cli.commands.presets", table=COMMANDS)
def command() -> None:
    """List and show presets: the settings that `train` uses by default for an algorithm and an environment."""
