"""``ganq-irl advise``."""

from __future__ import annotations

import dataclasses

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.demonstrations import load, make_request


@click.command("advise")
@click.option("--env", type=options.ENV, metavar="ID", help="Environment.  [default: the one of the demonstrations]")
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
    if as_json:
        session.print_json(dataclasses.asdict(advice))
        return
    for fact in advice.facts:
        session.say(f"- {fact}")
    session.say(f"\nTrain {advice.algo}: {advice.reason}.\n\n    {advice.command}\n")
    if advice.choices:
        session.say("It has no preset here. These settings are chosen from the problem:\n")
        for choice in advice.choices:
            session.say(f"    {choice.key} = {inline_toml(choice.value)}  ({choice.reason})")
        session.say("")
    else:
        session.say(f"It uses the preset {advice.preset}.\n")
    session.say("Compare with:\n")
    for line in advice.beside:
        session.say(f"    {line}")
