"""``ganq-irl reward show``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import options, session

_SHOWN_SEPARATELY = ("provenance", "correlations", "pictures", "left_out")


@click.command("show")
@options.run_folder
@options.env
@options.episodes
@click.option(
    "--out",
    type=options.UsablePath(file_okay=False),
    metavar="DIR",
    help="Folder for the pictures: map.png, episode.png and, for GAIL, calibration.png.",
)
@click.option(
    "--dimensions",
    type=click.IntRange(min=0),
    nargs=2,
    default=(0, 1),
    metavar="X Y",
    help="Indices of the two state dimensions that the map shows.",
)
@options.seed
@options.as_json
def command(
    run: Path,
    env: str | None,
    episodes: int,
    out: Path | None,
    dimensions: tuple[int, int],
    seed: int | None,
    as_json: bool,
) -> None:
    """Show where the reward of RUN comes from and how it correlates with the environment's reward."""
    with session.working():
        from ganq_irl.runs.rewards import describe_reward, read_reward
        from ganq_irl.studies.reward_comparison import correlations, gather_transitions
        from ganq_irl.studies.reward_pictures import draw_reward, undrawable

        stored = read_reward(run)
        content: dict[str, Any] = describe_reward(stored)
        transitions = {}
        if env is not None or stored.env is not None:
            transitions = gather_transitions(stored, env, episodes=episodes, seed=seed or 0)
            content["correlations"] = correlations(stored.reward, transitions)
        if out is not None:
            content["pictures"] = [str(path) for path in draw_reward(stored, env, transitions, out, dimensions)]
            content["left_out"] = undrawable(stored, transitions)
    session.show(content, _text(content), as_json)


def _text(content: dict[str, Any]) -> str:
    plain = {key: value for key, value in content.items() if key not in _SHOWN_SEPARATELY}
    rows = [(key, str(value)) for key, value in {**plain, **content["provenance"]}.items()]
    for origin, found in content.get("correlations", {}).items():
        values = ", ".join(f"{name} {session.number(value)}" for name, value in found.items())
        rows.append((f"with the true reward, {origin}", values))
    if "pictures" in content:
        rows.append(("pictures", ", ".join(content["pictures"]) or "none"))
        rows += [(f"no {name}", reason) for name, reason in content["left_out"].items()]
    return session.table(rows)
