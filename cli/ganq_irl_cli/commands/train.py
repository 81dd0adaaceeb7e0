"""``ganq-irl train``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import demonstrations, options, session

if TYPE_CHECKING:
    from ganq_irl.runs import ExperimentConfig, RunResult


_ASKING = {
    "teacher": ("preferences", "teacher"),
    "ask": ("preferences", "ask"),
    "queries": ("preferences", "n_queries"),
    "expert": ("dagger", "expert"),
    "labels": ("dagger", "n_labels"),
}
"""Option -> the algorithm that asks someone, and its setting."""


@click.command("train")
@click.argument("algo", metavar="ALGO")
@options.env
@click.option("--demos", metavar="NAME-or-FILE", help="Demonstrations to imitate: a name from `demos list`, or a file.")
@click.option(
    "--trust",
    is_flag=True,
    help="Convert a pickled replay buffer given as --demos to NAME.npz in the working directory, and train on that. "
    "A pickle can run any code.",
)
@click.option("--n-trajectories", type=int, metavar="N", help="Use N randomly chosen trajectories.  [default: all]")
@click.option(
    "--generator",
    metavar="NAME",
    help="RL algorithm that the imitation algorithm trains, or whose policy bc clones into: fast-ppo, sac, ...  [default: "
    "fast-ppo; for dac, sqil, iq-learn and ls-iq fast-sac, or dqn for discrete actions]",
)
@click.option(
    "--reward", metavar="RUN-or-REWARD", help="Train ppo, sac, ... on this recovered reward instead of the environment's."
)
@click.option(
    "--teacher",
    metavar="NAME",
    help="Who answers for `train preferences`: true-reward (the environment's reward), human (a person, see `feedback "
    "serve`), or module:function, which is called with the segments.  [default: true-reward]",
)
@click.option(
    "--ask",
    metavar="KIND",
    help="What to ask the teacher for: comparisons of two segments, or ratings of one, from 1 to 5.  [default: comparisons]",
)
@click.option("--queries", type=click.IntRange(min=1), metavar="N", help="Answers to ask the teacher for.  [default: 500]")
@click.option(
    "--expert",
    metavar="RUN-or-NAME",
    help="Who corrects the policy for `train dagger`: a run directory, module:function (called with observations), or "
    "person (you, at the keyboard).",
)
@click.option(
    "--labels", type=click.IntRange(min=1), metavar="N", help="Actions to ask the expert for.  [default: one every step]"
)
@click.option(
    "--start-from",
    metavar="RUN",
    help="Start from the policy of this run: of bc --generator NAME, of imitation, or of reinforcement learning.",
)
@click.option(
    "--timesteps", type=int, metavar="N", help="Environment steps; for bc use --set bc.n_updates=N.  [default: 100000]"
)
@click.option(
    "--n-envs",
    type=int,
    metavar="N",
    help="Step N environments together. Off-policy, each step is followed by N times as many updates.  [default: 1, or the "
    "preset's]",
)
@click.option(
    "--vec",
    type=click.Choice(["dummy", "subproc"]),
    help="subproc: one process for each environment, for slow simulators. The numbers are the same.  [default: dummy]",
)
@options.max_episode_steps
@options.columns
@options.seed
@options.device
@options.new_run
@click.option(
    "--config",
    "file",
    type=options.UsablePath(),
    metavar="FILE.toml",
    help="Settings, in the format of a run's config.toml.",
)
@options.run_settings
@click.option(
    "--preset",
    metavar="NAME",
    help="Tuned settings, or none.  [default: the preset for ALGO and the environment, if there is one]",
)
@click.option(
    "--control",
    metavar="frozen",
    help="frozen: the discriminator never learns. What this run reaches as well needed no imitation.",
)
@click.option(
    "--checkpoint-every",
    type=int,
    metavar="N",
    help="Steps between checkpoints for `resume`.  [default: only one, when interrupted]",
)
@click.option(
    "--wandb", metavar="PROJECT", help="Log the run to Weights & Biases; set WANDB_MODE=offline to keep it on this machine."
)
@click.option("--show-settings", is_flag=True, help="Print all settings of the run, with their meaning, as TOML and exit.")
@options.as_json
def command(
    algo: str,
    out: Path | None,
    file: Path | None,
    assignments: tuple[str, ...],
    trust: bool,
    wandb: str | None,
    show_settings: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train ALGO and write a run directory: settings, versions, progress, policy, reward and evaluation.

    \b
    Imitation:                gail airl dac fairl wail vail gaifo amp sqil iq-learn ls-iq bc
    Human feedback:           preferences t-rex d-rex dagger
    Reinforcement learning:   gan-q gan-q-continuous ppo fast-ppo a2c trpo sac fast-sac td3 fast-td3 ddpg tqc
                              crossq dqn qrdqn

    Options win over --set, then come --config, the preset, and the defaults. To repeat a run, pass its
    config.toml to --config.
    """  # noqa: D301  # click needs the character
    _check_paths(flags["demos"], None if show_settings else out)
    with session.working():
        from ganq_irl.runs import resolve_config

        if trust and show_settings:
            raise click.UsageError("--show-settings does not open files; leave out --trust")
        flags["imitation"] = _asked_of(algo, {name: flags.pop(name) for name in _ASKING})
        if trust:
            flags["demos"] = _imported(flags["demos"], flags["env"])
        config = resolve_config({"algo": algo, **flags}, assignments=assignments, file=file)
        if config.preset != "none":
            session.say(f"using the preset {config.preset} (--preset none turns it off)", err=True)
        result = None if show_settings else _trained(config, out, wandb)
    if result is not None:
        session.print_run(result, as_json)
    else:
        from ganq_irl.runs.explained import explained_settings

        session.show(dataclasses.asdict(config), explained_settings(config), as_json)


def _check_paths(demos: str | None, out: Path | None) -> None:
    """Raise if the demonstrations are missing or the run directory is not empty, before torch is imported."""
    from ganq_irl.files import require_vacant
    from ganq_irl_demos.loading import require_demonstrations

    if out is not None:
        require_vacant(out)
    if demos is not None:
        require_demonstrations(demos)


def _asked_of(algo: str, given: Mapping[str, str | int | None]) -> dict[str, str | int]:
    """Return the settings for the options of algorithms that ask someone; the module of a typed function is imported."""
    from ganq_irl.environments.own import import_environments, names_function

    settings: dict[str, str | int] = {}
    for option, value in given.items():
        asking, setting = _ASKING[option]
        if value is None:
            continue
        if algo != asking:
            others = ", ".join(f"--{name}" for name, (owner, _) in _ASKING.items() if owner == asking)
            raise click.UsageError(f"{others} are for `train {asking}`")
        if isinstance(value, str) and names_function(value):
            import_environments([value.partition(":")[0]])
        settings[setting] = value
    return settings


def _trained(config: ExperimentConfig, out: Path | None, wandb: str | None) -> RunResult:
    from ganq_irl.runs import run_experiment
    from ganq_irl.runs.directory import default_folder
    from ganq_irl.runs.tracking import run_tracked

    result = run_experiment(config, out) if wandb is None else run_tracked(wandb, config, out or default_folder(config))
    if result.warning is not None:
        session.say(f"Warning: {result.warning}", err=True)
    return result


def _imported(demos: str | None, env: str | None) -> str:
    """Convert a trusted replay buffer to a file that needs no trust, so that the run can be repeated and resumed."""
    from ganq_irl.errors import usable_path
    from ganq_irl_demos.converting import convert_demonstrations
    from ganq_irl_demos.formats import replay_buffer

    if demos is None or not replay_buffer.recognize(usable_path(demos)):
        raise click.UsageError("--trust is for a pickled replay buffer given as --demos")
    target = demonstrations.default_out(demos, ".npz")
    if Path(target).exists():
        raise click.UsageError(f"{target} exists, but {demos} would be converted to it; train on {target}, or move it")
    convert_demonstrations(demos, target, request=demonstrations.make_request(env, trust=True))
    session.say(f"converted {demos} to {target}, and the run uses that file", err=True)
    return target
