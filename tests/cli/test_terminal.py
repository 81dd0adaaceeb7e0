"""Names, notes and messages from anywhere are printed, and control no terminal."""

import dataclasses
import logging
import re
import sys
import threading
import warnings
from pathlib import Path

import pytest
from tqdm import tqdm

import ganq_irl_cli
from ganq_irl_cli import session

ESCAPE = "\x1b]0;renamed\x07\x1b[31m\x9b2J\u202e"


@pytest.mark.parametrize(
    "command",
    [
        ["train", ESCAPE],
        ["train", "ppo", "--env", ESCAPE],
        ["demos", "check", f"{ESCAPE}.csv"],
        ["evaluate", ESCAPE],
        ["demos", ESCAPE],
        ["compare", "--algos", ESCAPE, "--env", "CartPole-v1"],
        ["train", "bc", "--set", f"{ESCAPE}=1", "--env", "CartPole-v1"],
        ["--debug", "train", ESCAPE],
    ],
)
def test_no_message_controls_the_terminal(command, run):
    result = run(*command)
    assert result.exit_code in (1, 2)
    assert "\\x1b]0;renamed\\x07\\x1b[31m" in result.output
    assert not set("\x1b\x07\x9b\u202e") & set(result.output)


def test_no_note_controls_the_terminal(run, tmp_path):
    from ganq_irl_demos import load_demonstrations, save_demonstrations

    noted = {"env_id": f"a{ESCAPE}", "provenance": {f"b{ESCAPE}": f"{ESCAPE}\nc"}}
    save_demonstrations(dataclasses.replace(load_demonstrations("cartpole"), **noted), tmp_path / f"d{ESCAPE}.npz")
    for command in (["inspect"], ["check"], ["inspect", "--json"]):
        result = run("demos", *command, tmp_path / f"d{ESCAPE}.npz")
        assert not set("\x1b\x07\x9b\u202e") & set(result.output)
    assert "b\\x1b" in run("demos", "inspect", tmp_path / f"d{ESCAPE}.npz").stdout


def test_warnings_and_logs_do_not_control_the_terminal(capsys):
    with session.working(torch_threads=False), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"\x1b[33mWARN: {ESCAPE}\x1b[0m", stacklevel=1)
        record = logging.LogRecord("x", logging.WARNING, "x", 1, "%s", (ESCAPE,), None)
        logging.lastResort.handle(record)
    captured = capsys.readouterr()
    assert "WARN: \\x1b]0;renamed" in captured.err
    assert not set("\x1b\x07\x9b\u202e") & set(captured.err)


def test_a_message_has_a_line_of_its_own_below_a_progress_bar(capsys):
    with session.working(torch_threads=False), tqdm(total=4, desc="cells", file=sys.stderr) as bar:
        bar.update(1)
        bar.refresh()
        session.say("careful", err=True)
    before, _, after = capsys.readouterr().err.partition("careful\n")
    assert before.endswith("\r")
    assert before[:-1].rpartition("\r")[2].isspace()  # the bar is cleared
    assert "cells" in after


def test_every_command_prints_in_the_one_way():
    """Through `session`, which spells out control characters; but for what plays in a terminal, which controls it."""
    folder = Path(ganq_irl_cli.__file__).parent
    found = {path.name for path in folder.rglob("*.py") if re.search(r"click\.s?echo|\bprint\(", path.read_text())}
    assert found == {"session.py", "play.py"}


def test_a_thread_that_fails_is_told_in_a_line(capsys):
    def fail():
        raise OSError(f"no room {ESCAPE}")

    with session.working(torch_threads=False):
        thread = threading.Thread(target=fail, name="the writer")
        thread.start()
        thread.join()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the writer of a library ended with OSError: no room \\x1b]0;renamed")
