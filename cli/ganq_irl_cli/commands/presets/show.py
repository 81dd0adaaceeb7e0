"""``ganq-irl presets show``."""

from __future__ import annotations

import click

from ganq_irl_cli import options, session


@click.command("show")
@click.argument("name", metavar="NAME")
@options.as_json
def command(name: str, as_json: bool) -> None:
    """Print the settings of the preset NAME as TOML.

    `train ALGO --env ID --show-settings` prints all settings of a run: those of its preset and the defaults.
    """
    import tomli_w

    from ganq_irl.runs.presets import preset_named

    preset = preset_named(name)
    session.show({"name": name, **preset}, tomli_w.dumps(preset).rstrip(), as_json)
