"""``ganq-irl sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganq_irl_cli import options, session


@click.command("sweep")
@click.option("--trials", type=click.IntRange(min=1), default=50, metavar="N", help="Trials in all.  [default: 50]")
@click.option("--storage", metavar="URL", help="RDB URL or journal file that machines share.  [default: DIR/journal.log]")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", help="Where trials run.  [default: local]")
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="N", help="Trials at a time.  [default: 1]")
@click.option(
    "--gpus-per-run", type=click.FloatRange(min=0), default=0.0, metavar="X", help="GPUs that Ray reserves.  [default: 0]"
)
@options.seed
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of every run, or search.KEY.")
@click.option(
    "--config",
    "file",
    type=options.UsablePath(),
    required=True,
    metavar="FILE.toml",
    help="As for compare, and [search].",
)
@click.option("--out", type=options.UsablePath(), default=Path("runs/sweep"), metavar="DIR", help="[default: runs/sweep]")
@options.as_json
def command(
    trials: int,
    storage: str | None,
    engine: str,
    jobs: int,
    gpus_per_run: float,
    seed: int | None,
    assignments: tuple[str, ...],
    file: Path,
    out: Path,
    as_json: bool,
) -> None:
    """Search hyperparameters of one method with Optuna; trials that fall below the median of the others are given up.

    A trial trains the method in all environments and with all seeds of the file, and is judged by its mean score. Started
    again, on this machine or on another with the same --storage, the search goes on to N trials in all.
    """
    with session.working():
        from ganq_irl.studies.sweep import JOURNAL, best_trial, prepare_sweep, resolve_sweep
        from ganq_irl.studies.sweep_workers import run_sweep_locally, run_sweep_on_ray

        config = resolve_sweep({}, assignments=assignments, file=file)
        prepare_sweep(config, out)
        storage = storage or str(out.resolve() / JOURNAL)
        common: dict[str, Any] = {"jobs": jobs, "seed": seed or 0}
        if engine == "ray":
            run_sweep_on_ray(config, out, storage, trials, gpus_per_run=gpus_per_run, **common)
        else:
            run_sweep_locally(config, out, storage, trials, **common)
        best = best_trial(storage)
    if as_json:
        session.print_json({"out": str(out), **best})
        return
    session.say(f"trial {best['trial']}: score {best['score']:.4g} ({best['trials']})")
    session.say("\n".join(f"{key} = {value}" for key, value in best["settings"].items()))
