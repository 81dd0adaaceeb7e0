"""A working folder full of modules that nothing may import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_among_planted_modules(folder, program):
    """Run a program in a folder with a module for each name that Python or a library may import.

    Returns:
        The process, which has ended, and the names of the modules that were run.
    """
    installed = {path.stem for path in Path(pytest.__file__).parents[1].iterdir()}
    for name in {*sys.stdlib_module_names, *installed, "ganq_irl", "ganq_irl_cli", "ganq_irl_demos", "sitecustomize"}:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'RAN')!r}, 'a').write(__name__ + ' ')\nraise SystemExit")
    scripts = folder / "scripts"  # as of an installed command, whose own folder Python searches
    scripts.mkdir()
    (scripts / "program").write_text(program)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("", "demos", "cli"))
    command = [sys.executable, str(scripts / "program")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done, (folder / "RAN").read_text().split() if (folder / "RAN").exists() else []
