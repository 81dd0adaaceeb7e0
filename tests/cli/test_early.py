"""Cheap mistakes are told before torch is imported."""

import json
import subprocess
import sys

import pytest

MISTAKES = {
    "environment": (["train", "gail", "--env", "Nope-v0", "--demos", "pendulum"], "unknown environment 'Nope-v0'"),
    "name": (["train", "gail", "--env", "Pendulum-v1", "--demos", "pendulm"], "did you mean 'pendulum'?"),
    "file": (["train", "gail", "--env", "Pendulum-v1", "--demos", "nope.npz"], "nope.npz is missing"),
    "out": (["train", "gail", "--env", "Pendulum-v1", "--demos", "pendulum", "--out", "taken"], "taken is not empty"),
    "quickstart": (["quickstart", "--out", "taken"], "taken is not empty"),
    "compare": (["compare", "--algos", "ppo", "--env", "Nope-v0"], "unknown environment 'Nope-v0'"),
    "record": (["demos", "record", "--env", "Nope-v0", "--random", "--out", "x.npz"], "unknown environment 'Nope-v0'"),
    "run": (["evaluate", "nope"], "nope does not exist"),
    "reward": (["reward", "show", "nope"], "nope does not exist"),
}
SCRIPT = """
import json, sys
from click.testing import CliRunner
from ganq_irl_cli import main
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, arguments)
    print(json.dumps([result.exit_code, "torch" in sys.modules, result.output]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Exit code, whether torch had been imported, and output of each mistake, made in turn in one process."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "taken").mkdir()
    (folder / "taken" / "file").write_text("mine")
    requests = json.dumps([arguments for arguments, _ in MISTAKES.values()])
    result = subprocess.run([sys.executable, "-c", SCRIPT, requests], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in folder.iterdir()] == ["taken"]
    return dict(zip(MISTAKES, map(json.loads, result.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_cheap_mistake_imports_no_torch(mistake, answers):
    code, has_torch, said = answers[mistake]
    assert (code, has_torch) == (2, False)
    assert MISTAKES[mistake][1] in said
