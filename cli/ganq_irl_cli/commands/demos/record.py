"""``ganq-irl demos record``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl.errors import usable_path
from ganq_irl_cli import early, options, session

if TYPE_CHECKING:
    import gymnasium as gym

    from ganq_irl_demos import Demonstrations


@click.command("record")
@click.option(
    "--run",
    "runs",
    type=options.UsablePath(),
    multiple=True,
    metavar="RUN",
    help="Run directory of a policy to record.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="POLICY",
    help="MODULE:FUNCTION from an observation to an action (it is run), FILE.zip of Stable-Baselines3, or "
    "huggingface:ORGANISATION/NAME[/FILE.zip].",
)
@click.option("--trust", is_flag=True, help="Open a FILE.zip, which can run any code in it: only if you know who made it.")
@click.option("--random", "at_random", is_flag=True, help="Record uniformly random actions.")
@click.option(
    "--env",
    type=options.ENV,
    metavar="ID",
    help="Environment; without a policy an expert is trained in it first.  [default: the run's own]",
)
@click.option("--episodes", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Episodes to keep.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Reset seed of the first one."
)
@options.max_episode_steps
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
@click.option(
    "--n-trajectories", type=click.IntRange(min=1), metavar="N", help="Save N of the episodes, drawn with the seed."
)
@click.option("--subsample", type=click.IntRange(min=1), metavar="K", help="Keep every K-th step from a random start.")
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
    max_episode_steps: int | None,
    min_return: float | None,
    noise: float,
    random_share: float,
    n_trajectories: int | None,
    subsample: int | None,
    device: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Record episodes of a run's policy, of a function, of a saved policy, or of chance; or train an expert first.

    Several --run and --policy take turns by chance, an episode each. With --env alone an expert is trained there, with the
    settings of the preset that is known to make one, and its run directory is kept under runs/.
    """
    if not runs and env is None:
        raise click.UsageError("give --run RUN, or --env ID to train an expert first")
    if at_random and (runs or policies):
        raise click.UsageError("--random goes with no --run and no --policy; --random-share mixes them")
    if usable_path(out).exists():
        raise click.UsageError(f"{out} exists; choose another --out")
    if n_trajectories is not None and n_trajectories > episodes:
        raise click.UsageError(f"--n-trajectories {n_trajectories} of --episodes {episodes}: record at least as many")
    early.check(envs=[env])
    with session.working():
        import numpy as np

        from ganq_irl.progress import make_progress_bar
        from ganq_irl_demos import save_demonstrations, summarize
        from ganq_irl_demos.formats import suffix_format
        from ganq_irl_demos.recording.policies import AlteredPolicy
        from ganq_irl_demos.recording.policies import subsample as thin_out

        suffix_format(out)  # a suffix without a format is refused now, not after training
        generator = np.random.default_rng(seed)

        def alter(acting: Any) -> Any:
            if not noise and not random_share:
                return acting
            return AlteredPolicy(acting, acting.action_space, generator, noise=noise, random_share=random_share)

        with contextlib.ExitStack() as stack:
            bars: list[Any] = []

            def show(kept: int, wanted: int) -> None:
                if not bars:  # the first call, when recording begins: what came before is none of the time that is left
                    bars.append(stack.enter_context(make_progress_bar(total=wanted, desc="recording", unit="episode")))
                bars[0].update(kept - bars[0].n)

            told = {"seed": seed, "min_return": min_return, "progress": show}
            limit = options.with_limit(max_episode_steps)
            if not (runs or policies or at_random):
                runs = (_expert(env, seed, device),)
            if policies or at_random or len(runs) > 1:
                sources = _Sources(runs, policies, env, trust)
                recorded = _record_policies(sources, episodes, alter, generator, limit, told)
            else:
                recorded = _record_run(runs[0], env, episodes, alter, limit, told)
        chosen = recorded if n_trajectories is None else recorded.select(n_trajectories, generator)
        demonstrations = chosen if subsample is None else thin_out(chosen, subsample, generator)
        save_demonstrations(demonstrations, out)
    if as_json:
        made_by = {"run": str(runs[0])} if len(runs) == 1 else {}
        session.print_json({"out": str(out), **made_by, **summarize(demonstrations)})
    else:
        thinned = f", {len(demonstrations)} steps of them" if subsample is not None else ""
        session.say(f"{len(chosen)} episodes{thinned}, {session.spread(chosen.returns)}: {out}")


class _Sources:
    """Policies by what names them; none at all is chance."""

    def __init__(self, runs: tuple[Path, ...], policies: tuple[str, ...], env: str | None, trust: bool) -> None:
        from ganq_irl.runs import load_run

        self.runs, self.policies, self.trust = [load_run(run) for run in runs], policies, trust
        self.env_id = env or self.runs[0].config.env

    def policy(self, env: gym.Env, generator: Any) -> Any:
        """All of them as one."""
        from ganq_irl.spaces import check_same_space
        from ganq_irl_demos.recording.policies import MixedPolicy, random_policy

        acting = [run.policy("cpu") for run in self.runs] + [self._named(name, env) for name in self.policies]
        for one, run in zip(acting, self.runs, strict=False):
            check_same_space(one.action_space, env.action_space, f"{run.folder}: action space of the policy")
        if not acting:
            return random_policy(env.action_space, generator)
        return acting[0] if len(acting) == 1 else MixedPolicy(acting, env.action_space, generator)

    def _named(self, name: str, env: gym.Env) -> Any:
        from ganq_irl_demos.recording import saved_policies
        from ganq_irl_demos.recording.policies import FunctionPolicy, policy_function

        if saved_policies.is_saved_policy(name):
            return saved_policies.load_policy(name, env.observation_space, env.action_space, trust=self.trust)
        return FunctionPolicy(policy_function(name), env.action_space, name)


def _record_policies(
    sources: _Sources,
    episodes: int,
    alter: Callable[[Any], Any],
    generator: Any,
    limit: dict[str, Any],
    told: dict[str, Any],
) -> Demonstrations:
    from ganq_irl_cli.commands.demos import _sources
    from ganq_irl_demos import record_episodes

    made = _sources.make(sources.env_id, required=True, max_episode_steps=limit.get("max_episode_steps"))
    assert made is not None
    try:
        altered = alter(sources.policy(made, generator))
        name = getattr(altered, "algorithm", "random")
        return record_episodes(altered, made, episodes, provenance={"policy": name}, **told)
    finally:
        made.close()


def _expert(env: str | None, seed: int, device: str | None) -> Path:
    from ganq_irl.runs import run_experiment
    from ganq_irl.runs.experts import expert_config

    assert env is not None
    return run_experiment(expert_config(env, seed=seed, device=device or "auto")).folder


def _record_run(
    run: Path,
    env: str | None,
    episodes: int,
    alter: Callable[[Any], Any],
    limit: dict[str, Any],
    told: dict[str, Any],
) -> Demonstrations:
    from ganq_irl.runs import load_run
    from ganq_irl.runs.experts import record_run

    altered: Any = _Altered(load_run(run), alter)
    return record_run(altered, episodes, env=env, env_kwargs=limit, **told)


class _Altered:
    """A run whose policy passes through a function first."""

    def __init__(self, run: Any, alter: Callable[[Any], Any]) -> None:
        self._run, self._alter = run, alter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def policy(self, device: str) -> Any:
        """The policy, altered."""
        return self._alter(self._run.policy(device))
