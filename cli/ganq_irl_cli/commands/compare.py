"""``ganq-irl compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import groups, options, session

if TYPE_CHECKING:
    from ganq_irl.studies.execute import Engine


@click.command("compare")
@click.option(
    "--algos",
    metavar="A,B",
    help="Methods: an ALGO of `train`, ALGO+GENERATOR, ALGO:frozen (the control), ALGO:true-reward (its generator on the "
    "environment's reward), or ALGO@SOURCE.",
)
@click.option(
    "--env", multiple=True, type=options.ENV, help="Gymnasium id of an environment; repeat the option for several."
)
@click.option("--n-demos", metavar="1,4,10", help="Numbers of demonstrations for imitation.  [default: 10]")
@click.option("--seeds", metavar="N", help="Number of seeds, or a list of seeds such as 7,8,9.  [default: 5]")
@options.max_episode_steps
@click.option("--timesteps", type=int, metavar="N", help="Environment steps of a run.  [default: from the presets]")
@options.jobs
@options.engine
@options.gpus_per_run
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=A,B",
    help="Compare values of a setting; stabilizer=survey compares all stabilizers.",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda or auto.  [default: cpu]")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of every run, or methods.ALGO.KEY=VALUE."
)
@click.option(
    "--config",
    "file",
    type=options.UsablePath(),
    metavar="FILE.toml",
    help="File with these settings, as docs/how_to/compare.md shows.  [default: the one in DIR, if any]",
)
@click.option(
    "--out",
    type=options.UsablePath(),
    default=Path("runs/compare"),
    metavar="DIR",
    help="Folder of the comparison.",
)
@options.as_json
def command(
    algos: str | None,
    env: tuple[str, ...],
    n_demos: str | None,
    seeds: str | None,
    vary: tuple[str, ...],
    jobs: int,
    engine: str,
    gpus_per_run: float,
    assignments: tuple[str, ...],
    file: Path | None,
    out: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare methods across environments, numbers of demonstrations and seeds, with confidence intervals.

    Every run has its own directory in DIR. Run the command again to continue an interrupted comparison, to retry runs that
    failed, or to add seeds or methods: finished runs are kept.

    gan-q@airl trains GAN-Q on the reward that the airl run with the same seed recovered.

    \b
    ganq-irl compare --algos gan-q,dqn,bc,gail,gail:frozen --env CartPole-v1 --n-demos 1,10 --seeds 5 --jobs 4 --out DIR
    ganq-irl compare --algos gan-q,gail,airl --env CartPole-v1 --vary stabilizer=survey --out DIR
    ganq-irl compare --out DIR --seeds 10         (five more seeds)
    """  # noqa: D301  # click wants the character
    with session.working():
        from ganq_irl.runs.config import merged
        from ganq_irl.studies.execute import run_grid, stored_request
        from ganq_irl.studies.spec import parse_variation, resolve_grid
        from ganq_irl.studies.summary import summarize_grid

        flags: dict[str, Any] = {"algos": _listed(algos), "env": list(env) or None, **settings}
        listed = _listed(seeds)
        flags |= {"n_demos": _listed(n_demos), "seeds": listed[0] if listed and len(listed) == 1 else listed}
        for text in vary:
            flags = merged(flags, {"vary": parse_variation(text)})
        grid = resolve_grid(flags, assignments=assignments, file=file or stored_request(out))
        run = run_grid(grid, out, engine=_engine(engine, gpus_per_run), jobs=jobs)
        summary = summarize_grid(out)
    session.show(summary.to_json(), summary.text(), as_json)
    for label, error in summary.failures.items():
        if label not in run.failures:  # run_grid printed those already
            session.say(f"failed: {label}: {error}", err=True)
    if summary.failures:
        raise click.exceptions.Exit(groups.FAILED)


def _engine(name: str, gpus_per_run: float) -> Engine | None:
    if name == "local":
        if gpus_per_run:
            raise click.UsageError("--gpus-per-run needs --engine ray")
        return None
    from ganq_irl.studies.ray_engine import ray_engine

    return ray_engine(gpus_per_run)


def _listed(text: str | None) -> list[Any] | None:
    """Return values that are separated by commas; one that is not TOML is a string."""
    from ganq_irl.runs.resolve import toml_value

    return None if text is None else [toml_value(value.strip()) for value in text.split(",")]
