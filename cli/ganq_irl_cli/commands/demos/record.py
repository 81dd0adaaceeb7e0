"""``ganq-irl demos record``."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import options, session

if TYPE_CHECKING:
    import gymnasium as gym


@click.command("record")
@click.option(
    "--run", "runs", type=options.UsablePath(), multiple=True, metavar="RUN", help="Run directory of the policy to record."
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="POLICY",
    help="MODULE:FUNCTION that maps an observation to an action, FILE.zip of Stable-Baselines3, or "
    "huggingface:ORGANIZATION/NAME[/FILE.zip].",
)
@options.trust
@click.option("--random", "at_random", is_flag=True, help="Record uniformly random actions.")
@click.option(
    "--env",
    type=options.ENV,
    help="Environment to record in. Without a policy, an expert is trained in it first.  [default: the run's]",
)
@click.option("--episodes", type=options.COUNT, default=20, help="Episodes to keep.")
@options.first_seed
@options.max_episode_steps
@click.option("--min-return", type=float, metavar="X", help="Drop episodes with a lower return.")
@click.option(
    "--noise",
    type=float,
    default=0.0,
    metavar="X",
    help="Share of random actions; for Box actions, standard deviation of Gaussian noise in units of half the range.",
)
@click.option(
    "--random-share",
    type=float,
    default=0.0,
    metavar="X",
    help="Share of episodes with random actions, for demonstrations of mixed quality.",
)
@click.option("--n-trajectories", type=options.COUNT, help="Save N randomly chosen episodes.")
@click.option("--subsample", type=click.IntRange(min=1), metavar="K", help="Keep every K-th step, from a random start.")
@options.device
@click.option("--out", type=options.UsablePath(), required=True, metavar="FILE", help="File to write, such as expert.npz.")
@options.as_json
def command(
    runs: tuple[Path, ...],
    policies: tuple[str, ...],
    trust: bool,
    at_random: bool,
    env: str | None,
    episodes: int,
    seed: int,
    env_kwargs: dict[str, int] | None,
    min_return: float | None,
    noise: float,
    random_share: float,
    n_trajectories: int | None,
    subsample: int | None,
    device: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Record episodes of a run, a function, a saved policy or random actions, or train an expert first.

    With several --run and --policy, each episode draws one of them at random. With --env alone, an expert is trained with
    the settings of a preset; its run directory is kept under runs/.
    """
    _check_request(bool(runs), bool(policies), at_random, env, episodes, n_trajectories, out)
    with session.working():
        import numpy as np

        from ganq_irl.runs import load_run
        from ganq_irl.runs.experts import record_policies
        from ganq_irl_demos import describe, save_demonstrations
        from ganq_irl_demos.formats import suffix_format
        from ganq_irl_demos.recording.policies import AlteredPolicy
        from ganq_irl_demos.recording.policies import subsample as thin_out
        from ganq_irl_demos.summary import spread, statistics

        suffix_format(out)  # refuses a suffix without a format before training
        rng = np.random.default_rng(seed)

        def alter(policy: Any) -> Any:
            if not noise and not random_share:
                return policy
            return AlteredPolicy(policy, policy.action_space, rng, noise=noise, random_share=random_share)

        if not (runs or policies or at_random):
            assert env is not None
            runs = (_train_expert(env, seed, device),)
        with _progress() as show:
            recorded = record_policies(
                [load_run(run) for run in runs],
                episodes,
                seed=seed,
                others=[functools.partial(_load, name, trust) for name in policies],
                alter=alter,
                rng=rng,
                env=env,
                env_kwargs=env_kwargs,
                min_return=min_return,
                progress=show,
            )
        chosen = recorded if n_trajectories is None else recorded.select(n_trajectories, rng)
        demonstrations = chosen if subsample is None else thin_out(chosen, subsample, rng)
        save_demonstrations(demonstrations, out)
    origin = {"run": str(runs[0])} if len(runs) == 1 else {}
    thinned = f", thinned to {len(demonstrations)} steps" if subsample is not None else ""
    text = f"{len(chosen)} episodes{thinned}, return {spread(statistics(chosen.returns))}: {out}"
    session.show({"out": str(out), **origin, **describe(demonstrations)}, text, as_json)


def _check_request(
    has_runs: bool, has_policies: bool, at_random: bool, env: str | None, episodes: int, chosen: int | None, out: Path
) -> None:
    """Raise for options that contradict each other, before anything is imported or trained."""
    if not has_runs and env is None:
        raise click.UsageError("give --run RUN, or --env ID to train an expert first")
    if at_random and (has_runs or has_policies):
        raise click.UsageError("--random excludes --run and --policy; to mix in random episodes give --random-share")
    if out.exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    if chosen is not None and chosen > episodes:
        raise click.UsageError(f"--n-trajectories {chosen} is more than --episodes {episodes}; record at least as many")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows a bar from its first call, so that the time left counts the recording only."""
    from ganq_irl.progress import make_progress_bar

    with contextlib.ExitStack() as stack:
        bars: list[Any] = []

        def show(kept: int, wanted: int) -> None:
            if not bars:
                bars.append(stack.enter_context(make_progress_bar(total=wanted, desc="recording", unit="episode")))
            bars[0].update(kept - bars[0].n)

        yield show


def _train_expert(env: str, seed: int, device: str | None) -> Path:
    from ganq_irl.runs import run_experiment
    from ganq_irl.runs.experts import expert_config

    return run_experiment(expert_config(env, seed=seed, device=device or "auto")).folder


def _load(name: str, trust: bool, env: gym.Env) -> Any:
    """Load a policy that --policy names, for an environment."""
    from ganq_irl_demos.recording import saved_policies
    from ganq_irl_demos.recording.policies import FunctionPolicy, policy_function

    if saved_policies.is_saved_policy(name):
        return saved_policies.load_policy(name, env.observation_space, env.action_space, trust=trust)
    return FunctionPolicy(policy_function(name), env.action_space, name)
