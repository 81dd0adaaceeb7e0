"""Test that the reference describes what runs write to progress.csv."""

import csv
import re

import pytest

from tests.command_line import call
from tests.docs.pages import DOCS

SMALL = ["--device", "cpu", "--preset", "none", "--set", "evaluation.episodes=1", "--set", "evaluation.every=300"]
RUNS = {
    "gail": ["--timesteps", 512, "--set", "generator_kwargs.n_steps=256", "--set", 'adversary.stabilizers=["r1"]'],
    "dac": [
        *["--timesteps", 450, "--set", "adversary.learns_absorbing=true"],
        *["--set", "generator_kwargs.learning_starts=100", "--set", "generator_kwargs.train_freq=16"],
    ],
    "vail": ["--timesteps", 512, "--set", "generator_kwargs.n_steps=256"],
}


@pytest.mark.parametrize("algo", RUNS)
def test_every_column_is_described(algo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", algo, "--env", "Pendulum-v1", "--demos", "pendulum", *SMALL, *RUNS[algo], "--out", "run")
    assert result.exit_code == 0, result.stderr
    with open("run/progress.csv", encoding="utf-8") as file:
        columns = next(csv.reader(file))
    described = re.findall(r"`([a-z_]+/[a-z_]+)`", (DOCS / "reference" / "progress.md").read_text(encoding="utf-8"))
    families = tuple(f"{name}/" for name in described)  # a penalty has a column for each stabilizer
    assert [name for name in columns if name not in described and not name.startswith(families)] == []
