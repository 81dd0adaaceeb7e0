"""``ganq-irl demos record``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import options, session

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations


@click.command("record")
@click.option("--run", type=click.Path(path_type=Path), metavar="RUN", help="Run directory of the policy to record.")
@click.option("--policy", metavar="MODULE:FUNCTION", help="Python function from an observation to an action; it is run.")
@click.option("--random", "at_random", is_flag=True, help="Record uniformly random actions.")
@click.option(
    "--env", metavar="ID", help="Environment; without a policy an expert is trained in it first.  [default: the run's own]"
)
@click.option("--episodes", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Episodes to keep.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Reset seed of the first one."
)
@click.option("--min-return", type=float, metavar="X", help="Drop episodes with a lower return.")
@click.option(
    "--noise",
    type=float,
    default=0.0,
    metavar="X",
    help="Share of random actions; for Box actions, Gaussian noise in half ranges.",
)
@click.option(
    "--random-share", type=float, default=0.0, metavar="X", help="Share of episodes of random actions, for mixed quality."
)
@click.option("--subsample", type=click.IntRange(min=1), metavar="K", help="Keep every K-th step from a random start.")
@options.device
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File to write, such as expert.npz."
)
@options.as_json
def command(
    run: Path | None,
    policy: str | None,
    at_random: bool,
    env: str | None,
    episodes: int,
    seed: int,
    min_return: float | None,
    noise: float,
    random_share: float,
    subsample: int | None,
    device: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Record episodes of a run's policy, of a function, or of chance; or train an expert first.

    With --run the policy of that run directory acts, with --policy a Python function. With --env alone an expert is trained
    there, with the settings of the preset that is known to make one, and its run directory is kept under runs/.
    """
    if run is None and env is None:
        raise click.UsageError("give --run RUN, or --env ID to train an expert first")
    if sum([run is not None, policy is not None, at_random]) > 1:
        raise click.UsageError("give one of --run, --policy and --random")
    if out.exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    with session.working():
        import numpy as np
        from tqdm import tqdm

        from ganq_irl_demos import altering, save_demonstrations, summarize
        from ganq_irl_demos.formats import suffix_format

        suffix_format(out)  # a suffix without a format is refused now, not after training
        generator = np.random.default_rng(seed)

        def alter(acting: Any) -> Any:
            if not noise and not random_share:
                return acting
            return altering.AlteredPolicy(acting, acting.action_space, generator, noise=noise, random_share=random_share)

        with tqdm(total=episodes, desc="recording", unit="episode") as bar:

            def show(kept: int, _wanted: int) -> None:
                bar.update(kept - bar.n)

            told = {"seed": seed, "min_return": min_return, "progress": show}
            if policy is not None or at_random:
                assert env is not None
                recorded = _record_function(policy, env, episodes, alter, generator, told)
            else:
                run = run or _expert(env, seed, device)
                recorded = _record_run(run, env, episodes, alter, told)
        demonstrations = altering.subsample(recorded, subsample, generator) if subsample is not None else recorded
        save_demonstrations(demonstrations, out)
    if as_json:
        made_by = {} if run is None else {"run": str(run)}
        session.print_json({"out": str(out), **made_by, **summarize(demonstrations)})
    else:
        thinned = f", {len(demonstrations)} steps of them" if subsample is not None else ""
        click.echo(f"{len(recorded)} episodes{thinned}, {session.spread(recorded.returns)}: {out}")


def _record_function(
    policy: str | None, env: str, episodes: int, alter: Callable[[Any], Any], generator: Any, told: dict[str, Any]
) -> Demonstrations:
    from ganq_irl_cli.commands.demos import _sources
    from ganq_irl_demos import altering, random_policy, record_episodes

    function = None if policy is None else altering.policy_function(policy)
    made = _sources.make(env, required=True)
    assert made is not None
    acting: Any = (
        random_policy(made.action_space, generator)
        if function is None
        else altering.FunctionPolicy(function, made.action_space, policy or "")
    )
    altered = alter(acting)
    name = getattr(altered, "algorithm", "random")
    try:
        return record_episodes(altered, made, episodes, provenance={"policy": name}, **told)
    finally:
        made.close()


def _expert(env: str | None, seed: int, device: str | None) -> Path:
    from ganq_irl.experiment import run_experiment
    from ganq_irl.experiment.experts import expert_config

    assert env is not None
    return run_experiment(expert_config(env, seed=seed, device=device or "auto")).folder


def _record_run(
    run: Path, env: str | None, episodes: int, alter: Callable[[Any], Any], told: dict[str, Any]
) -> Demonstrations:
    from ganq_irl.experiment import load_run
    from ganq_irl.experiment.experts import record_run

    altered: Any = _Altered(load_run(run), alter)
    return record_run(altered, episodes, env=env, **told)


class _Altered:
    """A run whose policy passes through a function first."""

    def __init__(self, run: Any, alter: Callable[[Any], Any]) -> None:
        self._run, self._alter = run, alter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def policy(self, device: str) -> Any:
        """The policy, altered."""
        return self._alter(self._run.policy(device))
