"""``ganq-irl advise``."""

from __future__ import annotations

import dataclasses

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.demonstrations import load, make_request


@click.command("advise")
@click.option("--env", type=options.ENV, help="Environment.  [default: the one of the demonstrations]")
@click.option("--demos", required=True, metavar="NAME-or-FILE", help="Shipped demonstrations, or a file.")
@options.columns
@options.as_json
def command(env: str | None, demos: str, columns: dict[str, list[str]], as_json: bool) -> None:
    """Say which algorithm to run on demonstrations, why, and with which command.

    Nothing is trained. `train ALGO --show-settings` prints all settings of the command.
    """
    with session.working(torch_threads=False):
        from ganq_irl.runs.advice import advise
        from ganq_irl.runs.explained import inline_toml

        loaded = load(demos, make_request(env, columns=columns))
        env = env or loaded.env_id
        if env is None:
            raise click.UsageError(f"{demos} does not say where it was recorded; give --env ID")
        advice = advise(loaded, env, source=demos, columns=columns)
        settings = [f"It uses the preset {advice.preset}."]
        if advice.choices:
            settings = ["It has no preset here. These settings are chosen from the problem:", ""]
            settings += [f"    {one.key} = {inline_toml(one.value)}  ({one.reason})" for one in advice.choices]
    lines = [*(f"- {fact}" for fact in advice.facts), "", f"Train {advice.algo}: {advice.reason}.", ""]
    lines += [f"    {advice.command}", "", *settings, "", "Compare with:", "", *(f"    {line}" for line in advice.beside)]
    session.show(dataclasses.asdict(advice), "\n".join(lines), as_json)
