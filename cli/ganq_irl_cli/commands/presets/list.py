"""``ganq-irl presets list``."""

from __future__ import annotations

import click

from ganq_irl_cli import options, session

FIELDS = ("algo", "env", "generator", "timesteps")


@click.command("list")
@options.as_json
def command(as_json: bool) -> None:
    """List the presets. The environment is an id without namespace and version."""
    from ganq_irl.runs.presets import load_presets

    presets = [{"name": name, **{field: preset.get(field) for field in FIELDS}} for name, preset in load_presets().items()]
    rows = [tuple("" if value is None else str(value) for value in preset.values()) for preset in presets]
    session.show({"presets": presets}, session.table([("name", *FIELDS), *rows]), as_json)
