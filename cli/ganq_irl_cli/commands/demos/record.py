"""``ganq-irl demos record``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session


@click.command("record")
@click.option("--run", type=click.Path(path_type=Path), metavar="RUN", help="Run directory of the policy to record.")
@click.option(
    "--env", metavar="ID", help="Environment; without --run an expert is trained in it first.  [default: the run's own]"
)
@click.option("--episodes", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Episodes to keep.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Reset seed of the first one."
)
@click.option("--min-return", type=float, metavar="X", help="Drop episodes with a lower return.")
@options.device
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File to write, such as expert.npz."
)
@options.as_json
def command(
    run: Path | None,
    env: str | None,
    episodes: int,
    seed: int,
    min_return: float | None,
    device: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Record episodes of a run's policy, or train an expert first.

    With --run the policy of that run directory acts. With --env alone an expert is trained there, with the settings of the
    preset that is known to make one, and its run directory is kept under runs/.
    """
    if run is None and env is None:
        raise click.UsageError("give --run RUN, or --env ID to train an expert first")
    if out.exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    with session.working():
        from tqdm import tqdm

        from ganq_irl.experiment import load_run, run_experiment
        from ganq_irl.experiment.experts import expert_config, record_run
        from ganq_irl_demos import save_demonstrations, summarize
        from ganq_irl_demos.formats import format_of

        format_of(out)  # a suffix without a format is refused now, not after training
        if run is None:
            assert env is not None
            run = run_experiment(expert_config(env, seed=seed, device=device or "auto")).folder
        loaded = load_run(run)
        with tqdm(total=episodes, desc="recording", unit="episode") as bar:

            def show(kept: int, _wanted: int) -> None:
                bar.update(kept - bar.n)

            demonstrations = record_run(loaded, episodes, seed=seed, env=env, min_return=min_return, progress=show)
        save_demonstrations(demonstrations, out)
    if as_json:
        session.print_json({"out": str(out), "run": str(run), **summarize(demonstrations)})
    else:
        click.echo(f"{len(demonstrations)} episodes, {session.spread(demonstrations.returns)}: {out}")
