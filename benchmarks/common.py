"""What every benchmark writes beside its figures."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("ganq-irl", "torch", "stable-baselines3", "gymnasium", "imitation", "numpy")


def versions(command: str) -> str:
    """One paragraph: the command, the versions, the machine's kind and cores."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    given = " ".join(sys.argv[1:])
    return (
        f"Command: `{command}{' ' + given if given else ''}`. Python {platform.python_version()}, {packages}. "
        f"{platform.machine()}, {os.cpu_count()} cores, one thread a process."
    )


def write_markdown(path: Path, lines: list[str]) -> None:
    """Write the page and say where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)
