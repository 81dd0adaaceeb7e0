"""Tests of progress bars."""

import io
import re
import sys
import time
from pathlib import Path

import pytest

import ganq_irl
import ganq_irl_cli
import ganq_irl_demos
from ganq_irl.progress import make_progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def count_redraws(stderr, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr)
    with make_progress_bar(total=40, desc="training") as bar:
        for _ in range(40):
            time.sleep(0.01)
            bar.update()
    assert "40/40" in stderr.getvalue()
    return stderr.getvalue().count("training")


def test_a_terminal_sees_the_bar_move(monkeypatch):
    assert count_redraws(Terminal(), monkeypatch) >= 4


def test_a_log_file_gets_the_first_and_the_last_state_of_a_short_bar(monkeypatch):
    assert count_redraws(io.StringIO(), monkeypatch) == 2


@pytest.mark.parametrize("package", [ganq_irl, ganq_irl_demos, ganq_irl_cli], ids=lambda package: package.__name__)
def test_every_bar_is_made_here(package):
    folder = Path(package.__file__).parent
    makers = {str(path.relative_to(folder)) for path in folder.rglob("*.py") if re.search(r"\btqdm\(", path.read_text())}
    assert makers <= {"progress.py"}
