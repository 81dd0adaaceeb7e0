"""`train dagger` as a user runs it."""

import csv
import json
from pathlib import Path

import pytest

QUICK = ["--timesteps", "128", "--seed", "0", "--device", "cpu", "--preset", "none", "--labels", "40", "--demos", "cartpole"]
SMALL = ("generator_kwargs.n_steps=32", "generator_kwargs.batch_size=32", "imitation.n_updates=2", "evaluation.episodes=1")
QUICK += [word for setting in SMALL for word in ("--set", setting)]


def test_labels_are_counted_and_a_run_is_an_expert(run):
    Path("leaning.py").write_text("def act(observations):\n    return (observations[:, 2] > 0).astype(int)\n")
    result = run("train", "dagger", "--env", "CartPole-v1", "--expert", "leaning:act", *QUICK, "--out", "first")
    assert result.exit_code == 0, result.stderr
    assert json.loads(Path("first/run.json").read_text())["expert_labels"] == 40
    told = run("evaluate", "first", "--episodes", "1", "--json")
    assert json.loads(told.stdout)["expert_labels"] == 40
    with open("first/progress.csv") as file:
        counts = [float(row["imitation/expert_labels"]) for row in csv.DictReader(file) if row["imitation/expert_labels"]]
    assert counts == sorted(counts)
    assert counts[0] > 0
    again = run("train", "dagger", "--env", "CartPole-v1", "--expert", "first", *QUICK, "--json", "--out", "second")
    assert again.exit_code == 0, again.stderr
    assert json.loads(Path("second/run.json").read_text())["expert_labels"] == 40


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dagger", "--env", "CartPole-v1", "--demos", "cartpole"], "with --expert"),
        (["dagger", "--env", "CartPole-v1", "--demos", "cartpole", "--expert", "nowhere"], "nowhere holds no policy"),
        (["dagger", "--env", "Pendulum-v1", "--demos", "pendulum", "--expert", "person"], "keys are Discrete actions"),
        (["gail", "--demos", "cartpole", "--labels", "3"], "--labels"),
    ],
)
def test_wrong_requests_leave_no_files(run, words, message):
    result = run("train", *words, "--out", "run")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("run").exists()
