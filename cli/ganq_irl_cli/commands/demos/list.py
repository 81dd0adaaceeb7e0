"""``ganq-irl demos list``."""

from __future__ import annotations

from typing import Any

import click

from ganq_irl_cli import options, session


@click.command("list")
@options.as_json
def command(as_json: bool) -> None:
    """List the shipped demonstrations; --json also shows the commands that recorded them."""
    from ganq_irl_demos.catalog import catalog

    entries = list(catalog().values())
    header = ("name", "environment", "episodes", "expert", "random", "needs")
    rows = [
        (
            entry.name,
            entry.env_id,
            str(entry.n_episodes),
            "{:.4g} ± {:.2g}".format(*entry.expert_return),
            "{:.4g} ± {:.2g}".format(*entry.random_return),
            f"ganq-irl[{entry.requires}]" if entry.requires else "",
        )
        for entry in entries
    ]
    session.show({"demonstrations": [_to_json(entry) for entry in entries]}, session.table([header, *rows]), as_json)


def _to_json(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "env": entry.env_id,
        "episodes": entry.n_episodes,
        "expert_return": dict(zip(("mean", "std"), entry.expert_return, strict=True)),
        "random_return": dict(zip(("mean", "std"), entry.random_return, strict=True)),
        "horizon": entry.horizon,
        "requires": entry.requires,
        "commands": list(entry.commands),
        "description": entry.description,
    }
