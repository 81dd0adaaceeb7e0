"""``ganq-irl sweep``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("sweep")
@click.option("--trials", type=options.COUNT, default=50, help="Trials in total.")
@click.option(
    "--storage", metavar="URL", help="Database URL or journal file that machines share.  [default: DIR/journal.log]"
)
@options.engine
@options.jobs
@options.gpus_per_run
@options.seed
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of every run, or search.KEY=VALUE."
)
@click.option(
    "--config",
    "file",
    type=options.UsablePath(),
    required=True,
    metavar="FILE.toml",
    help="Settings as for `compare`, and a table [search].",
)
@click.option("--out", type=options.UsablePath(), default=Path("runs/sweep"), metavar="DIR", help="Folder of the search.")
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
    """Search for hyperparameters of one method with Optuna. Trials below the median of the others are stopped early.

    A trial trains the method in every environment and with every seed of the file; its mean score is the objective. Run the
    command again, or on another machine with the same --storage, to continue the search until there are N trials in total.
    """
    with session.working():
        from ganq_irl.studies.sweep import JOURNAL, best_trial, prepare_sweep, resolve_sweep
        from ganq_irl.studies.trials import run_sweep

        config = resolve_sweep({}, assignments=assignments, file=file)
        prepare_sweep(config, out)
        storage = storage or str(out.resolve() / JOURNAL)
        run_sweep(config, out, storage, trials, seed=seed or 0, jobs=jobs, engine=engine, gpus_per_run=gpus_per_run)
        best = best_trial(storage)
    lines = [f"trial {best['trial']}: score {best['score']:.4g} ({best['trials']})"]
    lines += [f"{key} = {value}" for key, value in best["settings"].items()]
    session.show({"out": str(out), **best}, "\n".join(lines), as_json)
