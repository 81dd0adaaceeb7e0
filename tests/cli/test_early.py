"""Cheap mistakes are told before torch is imported."""

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
import sys
from click.testing import CliRunner
from ganq_irl_cli import main
result = CliRunner().invoke(main, sys.argv[1:])
print(result.exit_code, "torch" in sys.modules, result.output)
"""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_cheap_mistake_imports_no_torch(mistake, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    arguments, said = MISTAKES[mistake]
    result = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.startswith("2 False "), result.stdout + result.stderr
    assert said in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
