"""The questions that a command is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ganq_irl.errors import RunDirectoryError

if TYPE_CHECKING:
    from ganq_irl.feedback import Questions


def questions_of(folder: Path) -> Questions:
    """Return the questions of a run directory, which may have none yet, or of a folder of questions.

    Raises:
        RunDirectoryError: the folder is neither.
    """
    from ganq_irl.feedback import Questions
    from ganq_irl.runs.directory import FEEDBACK, load_run

    if not is_run(folder):
        found = Questions(folder)
        asks, what = False, "is no run directory"
    else:
        config = load_run(folder).config
        found = Questions(config.imitation.get("questions") or folder / FEEDBACK)
        asks, what = config.algo == "preferences", f"is a run of {config.algo}"
    if not asks and not len(found):
        raise RunDirectoryError(f"{folder} {what} and holds no questions; give a run of `train preferences`")
    return found


def counted(answers: Mapping[str, int]) -> str:
    """Return how often each answer was given in words, such as "3 left, 1 equal" or "2 rated 5"."""
    return ", ".join(f"{n} rated {answer}" if answer.isdigit() else f"{n} {answer}" for answer, n in answers.items())


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run directory."""
    return (folder / "config.toml").is_file()
