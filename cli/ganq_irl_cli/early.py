"""Mistakes that are cheap to find, told before torch is imported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def check(*, envs: Iterable[str | None] = (), demos: str | None = None, out: Path | None = None) -> None:
    """Raise where a command cannot begin.

    Args:
        envs: ids that Gymnasium should know.
        demos: demonstrations that should be there.
        out: a folder in which nothing should be.

    Raises:
        ConfigurationError: an unknown environment or name.
        DemoFormatError: a file is missing.
        RunDirectoryError: the folder holds something.
    """
    from ganq_irl.files import require_vacant

    if out is not None:
        require_vacant(out)
    named = [env for env in envs if env is not None]
    if named:
        import ganq_irl.environments  # noqa: F401  registers our own
        from ganq_irl.environments.lookup import check_env

        for env in named:
            check_env(env)
    if demos is not None:
        from ganq_irl_demos.loading import require_demonstrations

        require_demonstrations(demos)
