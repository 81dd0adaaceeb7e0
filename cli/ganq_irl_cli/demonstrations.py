"""Loading and converting demonstrations for commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganq_irl_cli import session

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations
    from ganq_irl_demos.streams import Request


def is_registered(env: str | None) -> bool:
    """Return whether Gymnasium knows an environment that a file names."""
    import gymnasium as gym

    import ganq_irl.environments  # noqa: F401  registers our own environments

    return env in gym.registry


def make_request(env: str | None, *, columns: Mapping[str, Sequence[str]] | None = None, **options: Any) -> Request:
    """Return what a reader needs to know besides the path; an environment gives its id and its spaces.

    Args:
        env: id of the environment of the recording, if the user gave one.
        columns: field -> columns of a table.
        options: further fields of ``Request``, such as ``mask`` and ``trust``.
    """
    from ganq_irl_demos.streams import Request

    if env is not None:
        from ganq_irl.runs.envs import probe_env

        made = probe_env(env)
        options |= {"observation_space": made.observation_space, "action_space": made.action_space, "env_id": env}
        made.close()
    return Request(columns={field: tuple(names) for field, names in (columns or {}).items()}, **options)


def load(source: str, request: Request) -> Demonstrations:
    """Load demonstrations of any format, even if fields are missing or disagree with the environment."""
    from ganq_irl_demos.loading import open_demonstrations

    return open_demonstrations(source, request).collect()


def convert(
    source: str,
    out: str,
    as_json: bool,
    *,
    read_as: str | None = None,
    write_as: str | None = None,
    env: str | None = None,
    **request: Any,
) -> None:
    """Convert demonstrations and print a summary; ``request`` holds further arguments of ``make_request``."""
    with session.working(torch_threads=False):
        from ganq_irl.progress import make_progress_bar
        from ganq_irl_demos.converting import convert_demonstrations

        told = make_request(env, **request)
        with make_progress_bar(desc="converting", unit="step", unit_scale=True, leave=False, delay=1) as bar:
            done = convert_demonstrations(source, out, read_as=read_as, write_as=write_as, request=told, progress=bar.update)
    counts = f"{done.episodes} episodes, {done.transitions} transitions ({done.read_as} -> {done.written_as})"
    session.show(dataclasses.asdict(done), f"{done.out}: {counts}", as_json)
    if not as_json:
        for note in (*done.notes, *(f"there are no {name.replace('_', ' ')}" for name in done.missing)):
            session.say(f"note: {note}", err=True)


def default_out(source: str, suffix: str) -> str:
    """Return the source's file name with another suffix, in the working directory."""
    return Path(source.rpartition(":")[2]).name.partition(".")[0] + suffix
