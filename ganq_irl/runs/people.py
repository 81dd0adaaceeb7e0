"""Wait for the answers of a person, who may be asked at any time and may stop the run while it waits."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from ganq_irl.algorithms import Preferences
from ganq_irl.feedback import Human, Questions
from ganq_irl.runs.interrupts import Interrupted, Interrupts

_log = logging.getLogger(__name__)

_SECONDS = 0.2
"""Time between two looks at the answers."""


def waiting_for_answers(preferences: Preferences, folder: Path, interrupts: Interrupts) -> None:
    """Let a human teacher log how many questions wait, and stop when the run is interrupted; other teachers do not wait."""
    teacher = preferences.teacher
    if not isinstance(teacher, Human):
        return

    def told(questions: Questions, n: int) -> None:
        if n:
            place = folder if questions.folder.parent == folder else questions.folder
            _log.warning("%d questions wait for your answers: ganq-irl feedback serve %s", n, place)

    def wait() -> None:
        if interrupts.requested is not None:
            raise Interrupted(
                f"interrupted by {interrupts.requested} while waiting for answers; those given so far are kept; continue "
                f"with `ganq-irl resume {folder}`, or, without a checkpoint, train another with --set imitation.questions="
                f"{preferences.folder.folder if preferences.folder else folder}"
            )
        time.sleep(_SECONDS)

    teacher.told, teacher.wait = told, wait
