"""The search for hyperparameters from the command line."""

import json

import pytest
from click.testing import CliRunner

from ganq_irl_cli import main

pytest.importorskip("optuna")

TINY = """\
algos = ["dqn"]
env = ["CartPole-v1"]
seeds = 1
timesteps = 64
preset = "none"
evaluation = { episodes = 2, every = 32 }
[methods.dqn.generator_kwargs]
learning_starts = 16
[search]
"generator_kwargs.gamma" = { low = 0.9, high = 0.99 }
"""


def test_a_search_and_its_best_trial(tmp_path):
    request, out = tmp_path / "sweep.toml", tmp_path / "out"
    request.write_text(TINY)
    arguments = ["sweep", "--config", str(request), "--out", str(out)]
    result = CliRunner().invoke(main, [*arguments, "--trials", "2", "--json"])
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["trials"] == {"complete": 2}
    assert 0.9 <= content["settings"]["generator_kwargs.gamma"] <= 0.99
    assert (out / "journal.log").is_file()
    again = CliRunner().invoke(main, [*arguments, "--trials", "2"])
    assert again.stdout.startswith(f"trial {content['trial']}: score ")
    request.write_text(TINY.replace("[search]", "[searches]"))
    wrong = CliRunner().invoke(main, ["sweep", "--config", str(request), "--out", str(tmp_path / "other")])
    assert wrong.exit_code == 2
    assert "nothing to search" in wrong.stderr
    assert not (tmp_path / "other").exists()
