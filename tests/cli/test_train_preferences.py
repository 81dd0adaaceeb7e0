"""`train preferences` as a user runs it: a synthetic teacher, a function, and a person who is waited for."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from ganq_irl.feedback import Questions
from tests.command_line import forked

QUICK = ["--timesteps", "128", "--seed", "0", "--device", "cpu", "--set", "evaluation.episodes=1", "--preset", "none"]
SMALL = ("generator_kwargs.n_steps=64", "imitation.segment_length=10", "imitation.n_updates=5", "imitation.n_sessions=2")
QUICK += [word for setting in SMALL for word in ("--set", setting)]
TRAIN = ["train", "preferences", "--env", "CartPole-v1", "--queries", "6", *QUICK]


def test_a_synthetic_teacher_answers_and_the_run_says_so(run):
    result = run(*TRAIN, "--teacher", "true-reward", "--out", "run")
    assert result.exit_code == 0
    assert "The environment's reward gave the answers (teacher true-reward)" in result.stderr
    questions = Questions("run/feedback")
    assert sum(questions.check().values()) == 6
    assert {answer.who for answer in questions.history()} == {"true-reward"}
    told = json.loads(run("reward", "show", "run", "--json").stdout)["provenance"]
    assert (told["algorithm"], told["teacher"], told["sees_reward"], told["comparisons"]) == (
        "preferences",
        "true-reward",
        True,
        6,
    )
    assert "preferences/accuracy" in Path("run/progress.csv").read_text()
    short = ("--timesteps", "64", "--set", "generator_kwargs.n_steps=64", "--set", "evaluation.episodes=1")
    assert run("train", "ppo", "--env", "CartPole-v1", "--reward", "run", *short, "--preset", "none").exit_code == 0


def test_pairs_are_inspected_as_demonstrations(run):
    run(*TRAIN, "--out", "run")
    pair = Questions("run/feedback").names()[0]
    assert "episodes      2" in run("demos", "inspect", f"run/feedback/{pair}").stdout


def test_a_function_answers_where_its_module_was_typed_and_nowhere_else(run, monkeypatch):
    monkeypatch.setenv("GANQ_IRL_IMPORT", "")  # restored afterwards
    Path("judge.py").write_text("def longer(left, right):\n    return 'left' if len(left) >= len(right) else 'right'\n")
    result = run(*TRAIN, "--teacher", "judge:longer", "--out", "run")
    assert result.exit_code == 0
    assert "The environment's reward" not in result.stderr
    assert {answer.who for answer in Questions("run/feedback").history()} == {"judge:longer"}


def test_ratings_are_asked_for_and_kept(run, monkeypatch):
    monkeypatch.setenv("GANQ_IRL_IMPORT", "")  # restored afterwards
    Path("rater.py").write_text(
        "def upright(segment):\n    return 1 + int(4 * (abs(segment.observations[:, 2]) < 0.1).mean())\n"
    )
    result = run(*TRAIN, "--teacher", "rater:upright", "--ask", "ratings", "--out", "run")
    assert result.exit_code == 0
    assert json.loads(run("feedback", "inspect", "run", "--json").stdout)["questions"] == 6
    assert json.loads(run("reward", "show", "run", "--json").stdout)["provenance"]["ratings"] == 6
    told = run("feedback", "check", "run").stdout
    assert "6 questions (" in told
    assert sum(map(int, re.findall(r"(\d) rated [1-5]", told))) == 6
    assert re.search(r"answers +[1-6] rated [1-5]", run("feedback", "inspect", "run").stdout)


def test_a_module_in_settings_is_not_imported(run):
    Path("trap.py").write_text("raise SystemExit('imported')\n")
    result = run(*TRAIN, "--set", "imitation.teacher=trap:spring", "--out", "run")
    assert result.exit_code == 2
    assert "ganq-irl --import trap" in result.stderr
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["gail", "--demos", "cartpole", "--teacher", "human"],
            "--teacher, --ask, --queries are for",
        ),
        (["preferences", "--queries", "0"], "0 is not in the range x>=1"),
        (["preferences", "--teacher", "nobody"], "unknown teacher 'nobody'"),
        (["preferences", "--set", "imitation.n_querys=3"], "unknown setting 'imitation.n_querys' for preferences"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_written(run, words, message):
    result = run("train", *words, "--env", "CartPole-v1", *QUICK, "--out", "run")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("run").exists()


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_run_waits_for_a_person_and_keeps_the_answers_when_it_is_stopped(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [*TRAIN, "--teacher", "human", "--set", "imitation.first_share=0.5"]
    questions = Questions(tmp_path / "run" / "feedback")
    with forked(*command, "--out", tmp_path / "run", errors=tmp_path / "errors") as process:
        pairs = wait_for(questions.unanswered, 3)
        questions.answer(pairs[0], "left", who="anna")
        time.sleep(0.3)
        assert process.is_alive()
        os.kill(process.pid, signal.SIGINT)
        process.join(30)
        assert process.exitcode == 130
    assert "while waiting for answers; those given so far are kept" in (tmp_path / "errors").read_text()
    again = ["--set", f"imitation.questions={questions.folder}", "--out", tmp_path / "again"]
    with forked(*command, *again, errors=tmp_path / "errors") as process:
        for answered in (3, 6):
            for pair in wait_for(questions.unanswered, 2 if answered == 3 else 1):
                questions.answer(pair, "right", who="anna")
        while process.is_alive():
            for pair in questions.unanswered():
                questions.answer(pair, "right", who="anna")
            process.join(0.1)
        assert process.exitcode == 0
    assert questions.check() == {"left": 1, "right": 5, "equal": 0, "skipped": 0, "unanswered": 0}


def wait_for(listed, n):
    """Wait until there are at least ``n``; return all."""
    until = time.monotonic() + 60
    while len(found := listed()) < n:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found
