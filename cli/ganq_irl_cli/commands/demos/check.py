"""``ganq-irl demos check``."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.groups import WRONG_REQUEST


@click.command("check")
@options.demonstrations
@click.option(
    "--env", metavar="ID", help="Check against this environment.  [default: the one they were recorded in, if known]"
)
@options.as_json
@click.pass_context
def command(context: click.Context, demonstrations: str, env: str | None, as_json: bool) -> None:
    """Look for mistakes in shipped demonstrations or a file; each is named by trajectory, step and field.

    Exit code 0 when nothing is wrong (warnings may be printed), 2 when the demonstrations cannot be used.
    """
    with session.working(torch_threads=False):
        from ganq_irl_demos import check_demonstrations, load_demonstrations

        loaded = load_demonstrations(demonstrations)
        findings = check_demonstrations(loaded, **_expected(env, loaded.env_id))
    wrong = any(finding.severity == "error" for finding in findings)
    if as_json:
        listed = [dataclasses.asdict(finding) for finding in findings]
        session.print_json({"source": loaded.source, "valid": not wrong, "findings": listed})
    else:
        for finding in findings:
            click.echo(f"{finding.severity}: {loaded.source}: {finding}", err=finding.severity == "error")
        if not wrong:
            click.echo(f"{loaded.source}: {len(loaded)} trajectories, nothing wrong")
    context.exit(WRONG_REQUEST if wrong else 0)


def _expected(asked: str | None, recorded: str | None) -> dict[str, Any]:
    """What the environment expects; nothing where none was asked for and the recorded one is not installed here."""
    import gymnasium as gym

    import ganq_irl.environments  # noqa: F401
    from ganq_irl.experiment.envs import probe_env

    if asked is None and (recorded is None or recorded not in gym.registry):
        return {}
    env = probe_env(asked or recorded or "")
    limit = env.spec.max_episode_steps if env.spec is not None else None
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    env.close()
    return {**spaces, "env_id": asked or recorded, "max_episode_steps": limit}
