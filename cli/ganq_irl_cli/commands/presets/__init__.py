"""``ganq-irl presets``."""

import click

from ganq_irl_cli.groups import LazyGroup

COMMANDS = {
    "list": "What there is a preset for.",
    "show": "The settings of a preset, as TOML.",
}


@click.group("presets", cls=LazyGroup, package="ganq_irl_cli.commands.presets", table=COMMANDS)
def command() -> None:
    """Look at the settings that `train` takes for an algorithm in an environment, unless told otherwise."""
