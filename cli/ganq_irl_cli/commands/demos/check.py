"""``ganq-irl demos check``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.demonstrations import is_registered, load, make_request
from ganq_irl_cli.groups import WRONG_REQUEST

if TYPE_CHECKING:
    from gymnasium import spaces

    from ganq_irl_demos import Demonstrations, Finding


@click.command("check")
@options.demonstrations
@click.option(
    "--env", type=options.ENV, help="Environment to check against.  [default: the one in which they were recorded, if known]"
)
@click.option(
    "--replay",
    type=options.INDEX,
    default=3,
    help="Episodes to replay from their seeds, to check that they come from this environment.",
)
@options.max_episode_steps
@options.columns
@options.mask
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    demonstrations: str,
    env: str | None,
    replay: int,
    env_kwargs: dict[str, int] | None,
    columns: dict[str, list[str]],
    mask: str | None,
    as_json: bool,
) -> None:
    """Find mistakes in shipped demonstrations or a file, by trajectory, step and field.

    The exit code is 2 if the demonstrations cannot be used, otherwise 0, also with warnings.
    """
    with session.working(torch_threads=False):
        from ganq_irl.runs.envs import probe_env
        from ganq_irl_demos import examine_demonstrations
        from ganq_irl_demos.checking.replays import not_replayed

        loaded = load(demonstrations, make_request(env, columns=columns, mask=mask))
        env = env or loaded.env_id
        made = probe_env(env, env_kwargs) if env is not None and is_registered(env) else None
        findings = examine_demonstrations(loaded, env=made, replayed=replay)
        answers = _answers(loaded.observation_space, loaded.action_space)
        skipped = [] if made is not None else [_no_environment(loaded)]
        skipped += [skip] if (skip := not_replayed(loaded, made, replay)) else []
        if made is not None:
            made.close()
    wrong = any(finding.severity == "error" for finding in findings)
    listed = [dataclasses.asdict(finding) for finding in findings]
    content = {"source": loaded.source, "valid": not wrong, "missing": list(loaded.missing), "findings": listed}
    text = _text(loaded, findings, [*skipped, *_trainable(answers)], wrong)
    session.show({**content, "skipped": skipped, "algorithms": answers}, text, as_json, err=wrong)
    context.exit(WRONG_REQUEST if wrong else 0)


def _answers(observation_space: spaces.Space, action_space: spaces.Space) -> dict[str, str | None]:
    """Return, for each imitation algorithm, why it cannot train in these spaces, or None if it can."""
    from ganq_irl.space_matrix import IMITATION, trained_by, why_not

    trains = trained_by(observation_space, action_space)
    return {algo: None if algo in trains else why_not(algo, observation_space, action_space) for algo in IMITATION}


def _trainable(answers: dict[str, str | None]) -> list[str]:
    """Return a line with the algorithms that can train, and a line for each reason why others cannot."""
    trains = [algo for algo, reason in answers.items() if reason is None]
    lines = [f"can train {', '.join(trains)}"] if trains else []
    reasons = dict.fromkeys(reason for reason in answers.values() if reason is not None)
    for reason in reasons:
        lines.append(f"cannot train {', '.join(algo for algo, other in answers.items() if other == reason)}: {reason}")
    return lines


def _no_environment(loaded: Demonstrations) -> str:
    """Say what was not checked because the environment cannot be made, and how to give it."""
    module, colon, name = (loaded.env_id or "").rpartition(":")
    where = f"{name} is not registered"
    if loaded.env_id is None:
        advice = "the demonstrations do not name their environment; give it with --env ID"
    elif colon:
        advice = (
            f"{where}, and files may not import {module}; if you trust it, give --env {module}:{name} (or --import {module})"
        )
    else:
        advice = f"{where}; give its module with `ganq-irl --import MODULE`, or another id with --env"
    return f"spaces and lengths were not checked against the environment: {advice}"


def _text(loaded: Demonstrations, findings: list[Finding], skipped: list[str], wrong: bool) -> str:
    """Return a table of the findings, the checks that were skipped, and a last line that sums up."""
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
        f"there are no {name.replace('_', ' ')}, so only algorithms that do not need them can be trained"
        for name in loaded.missing
    ]
    lines += skipped
    errors = sum(finding.severity == "error" for finding in findings)
    verdict = f"{errors} errors" if wrong else "nothing wrong"
    verdict += f", {len(findings) - errors} warnings" if len(findings) > errors else ""
    return "\n".join([*lines, f"{loaded.source}: {len(loaded)} trajectories, {verdict}"])
