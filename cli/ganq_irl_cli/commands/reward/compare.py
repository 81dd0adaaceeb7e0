"""``ganq-irl reward compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import options, session


@click.command("compare")
@click.argument("runs", type=options.UsablePath(), metavar="RUN [RUN ...]", nargs=-1, required=True)
@options.env
@options.episodes
@click.option(
    "--discount",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.99,
    metavar="γ",
    help="Discount factor of EPIC.",
)
@click.option(
    "--out", type=options.UsablePath(dir_okay=False), metavar="FILE.json", help="Also write the result to this file."
)
@options.seed
@options.as_json
def command(
    runs: tuple[Path, ...],
    env: str | None,
    episodes: int,
    discount: float,
    out: Path | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Compare the rewards of several runs with each other and, if its formula is known, with the environment's reward.

    The EPIC distance ignores potential-based shaping and positive scaling: 0 means equivalent, 0.71 unrelated, 1 opposite.
    EPIC and the correlations use transitions from the first RUN's policy, from its demonstrations and from random actions.
    """
    with session.working():
        from ganq_irl.runs.directory import write_json
        from ganq_irl.studies.reward_comparison import compare_stored

        content = compare_stored(runs, env, episodes=episodes, discount=discount, seed=seed or 0)
        if out is not None:
            write_json(out, content)
    session.show(content, _text(content), as_json)


def _text(content: dict[str, Any]) -> str:
    epic, correlations = content["epic"], content["correlations"]
    names = list(next(iter(epic.values())))
    distances = [("EPIC", *names), *((name, *(f"{row[other]:.3f}" for other in names)) for name, row in epic.items())]
    text = session.table(distances)
    origins = list(next(iter(correlations.values())))
    if origins:
        header = ("with the true reward: Pearson / Spearman", *origins)
        cells = [
            (name, *(" / ".join(map(session.number, row[origin].values())) for origin in origins))
            for name, row in correlations.items()
        ]
        text += "\n\n" + session.table([header, *cells])
    return text
