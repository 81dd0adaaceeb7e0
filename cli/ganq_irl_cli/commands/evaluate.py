"""``ganq-irl evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganq_irl_cli import options, session

if TYPE_CHECKING:
    from ganq_irl.evaluation import ValueCheck


@click.command("evaluate")
@options.run_folder
@click.option("--episodes", type=options.COUNT, help="Episodes to play.  [default: the run's own setting]")
@click.option(
    "--pictures",
    type=options.UsablePath(file_okay=False),
    metavar="DIR",
    help="Folder for loss.png, score.png and, if the run learned Q-values, values.png (predicted against true returns).",
)
@options.max_episode_steps
@options.seed
@options.device
@options.as_json
def command(
    run: Path,
    episodes: int | None,
    pictures: Path | None,
    env_kwargs: dict[str, int] | None,
    seed: int | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Play episodes with the policy of the run directory RUN and measure its true return."""
    with session.working():
        from ganq_irl.runs import load_run
        from ganq_irl.runs.heldout import heldout_of
        from ganq_irl.runs.runner import evaluate_run_policy
        from ganq_irl.runs.yardstick import yardstick_of

        loaded = load_run(run)
        keywords = loaded.config.env_kwargs | (env_kwargs or {})
        loaded = replace(loaded, config=replace(loaded.config, env_kwargs=keywords))
        policy = loaded.policy(device or "auto")
        evaluation, _ = evaluate_run_policy(
            loaded.config,
            policy,
            episodes=episodes,
            seed=seed,
            yardstick=yardstick_of(loaded.info),
            heldout=heldout_of(loaded.config),
        )
        content, lines = {"run": str(run), **evaluation.to_json()}, [session.describe(evaluation)]
        if (labels := loaded.info.get("expert_labels")) is not None:
            content |= {"expert_labels": labels}
            lines += [f"The expert gave {labels} labels besides the demonstrations"]
        if pictures is not None:
            from ganq_irl.runs.plots import check_run_values, draw_run

            values = check_run_values(loaded.config, policy, episodes=episodes, seed=seed)
            drawn = [str(path) for path in draw_run(loaded, pictures, values)]
            content |= {"values": None if values is None else values.to_json(), "pictures": drawn}
            lines += [*_describe(values), f"Pictures: {', '.join(drawn)}"]
    session.show(content, "\n".join(lines), as_json)


def _describe(values: ValueCheck | None) -> list[str]:
    if values is None:
        return []
    related = "" if values.correlation is None else f", correlation {values.correlation:.2f}"
    errors = f"bias {values.bias:.3g}, mean absolute error {values.mean_absolute_error:.3g}{related}"
    return [f"predicted against true Q-values: {errors}; {len(values.returns)} pairs, returns up to {values.scale:.3g}"]
