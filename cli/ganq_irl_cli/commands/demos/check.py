"""``ganq-irl demos check``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.commands.demos import _converting, _sources
from ganq_irl_cli.groups import WRONG_REQUEST

if TYPE_CHECKING:
    from gymnasium import spaces

    from ganq_irl_demos import Demonstrations, Finding


@click.command("check")
@options.demonstrations
@click.option(
    "--env",
    type=options.ENV,
    metavar="ID",
    help="Check against this environment.  [default: the one they were recorded in, if known]",
)
@click.option(
    "--replay",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Episodes to live through again from their seeds, to see whether they are of this environment.",
)
@options.max_episode_steps
@_converting.columns
@_converting.mask
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    demonstrations: str,
    env: str | None,
    replay: int,
    max_episode_steps: int | None,
    columns: tuple[str, ...],
    mask: str | None,
    as_json: bool,
) -> None:
    """Look for mistakes in shipped demonstrations or a file; each is named by trajectory, step and field.

    Exit code 0 when nothing is wrong (warnings may be printed), 2 when the demonstrations cannot be used.
    """
    with session.working(torch_threads=False):
        from ganq_irl_demos import examine_demonstrations
        from ganq_irl_demos.checking.replays import not_replayed

        loaded = _sources.load(_converting.masked(demonstrations, mask), env, columns)
        made = _sources.make(env or loaded.env_id, required=env is not None, max_episode_steps=max_episode_steps)
        findings = examine_demonstrations(loaded, env=made, replayed=replay)
        answers = _answers(loaded.observation_space, loaded.action_space)
        skipped = [] if made is not None else [_no_environment(loaded)]
        skipped += [skip] if (skip := not_replayed(loaded, made, replay)) else []
        if made is not None:
            made.close()
    wrong = any(finding.severity == "error" for finding in findings)
    if as_json:
        listed = [dataclasses.asdict(finding) for finding in findings]
        session.print_json(
            {
                "source": loaded.source,
                "valid": not wrong,
                "missing": list(loaded.missing),
                "findings": listed,
                "skipped": skipped,
                "algorithms": answers,
            }
        )
    else:
        session.say(_text(loaded, findings, [*skipped, *_told(answers)], wrong), err=wrong)
    context.exit(WRONG_REQUEST if wrong else 0)


def _answers(observation_space: spaces.Space, action_space: spaces.Space) -> dict[str, str | None]:
    """For each algorithm that learns from demonstrations None, or why no generator of its trains in these spaces."""
    from ganq_irl.space_matrix import IMITATION, trained_by, why_not

    trains = trained_by(observation_space, action_space)
    return {algo: None if algo in trains else why_not(algo, observation_space, action_space) for algo in IMITATION}


def _told(answers: dict[str, str | None]) -> list[str]:
    """The same in a line for those that train, and one for each reason."""
    trains = [algo for algo, reason in answers.items() if reason is None]
    lines = [f"trains here: {', '.join(trains)}"] if trains else []
    reasons = dict.fromkeys(reason for reason in answers.values() if reason is not None)
    for reason in reasons:
        lines.append(f"not {', '.join(algo for algo, other in answers.items() if other == reason)}: {reason}")
    return lines


def _no_environment(loaded: Demonstrations) -> str:
    """What cannot be checked of a set whose environment cannot be made, and how to name it."""
    module, colon, name = (loaded.env_id or "").rpartition(":")
    where = f"{name} is not known here"
    if loaded.env_id is None:
        advice = "the demonstrations do not say their environment: name it with --env ID"
    elif colon:
        advice = (
            f"{where}, and no file may import {module}: if you trust it, give --env {module}:{name} (or --import {module})"
        )
    else:
        advice = f"{where}: give ganq-irl --import MODULE, the module that registers it, or another id with --env"
    return f"spaces and lengths were not compared with the environment's, since {advice}"


def _text(loaded: Demonstrations, findings: list[Finding], skipped: list[str], wrong: bool) -> str:
    """A table of the findings, what was not looked for, and a last line that sums them up."""
    rows = [
        (
            finding.severity,
            "" if finding.trajectory is None else f"trajectory {finding.trajectory}",
            "" if finding.step is None else f"step {finding.step}",
            finding.field,
            finding.rule,
            finding.message,
        )
        for finding in findings
    ]
    lines = [session.table([("severity", "trajectory", "step", "field", "rule", "what"), *rows])] if rows else []
    lines += [
        f"there are no {name.replace('_', ' ')}: only algorithms that need none can learn from this"
        for name in loaded.missing
    ]
    lines += skipped
    errors = sum(finding.severity == "error" for finding in findings)
    verdict = f"{errors} errors" if wrong else "nothing wrong"
    verdict += f", {len(findings) - errors} warnings" if len(findings) > errors else ""
    return "\n".join([*lines, f"{loaded.source}: {len(loaded)} trajectories, {verdict}"])
