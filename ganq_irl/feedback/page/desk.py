"""Hand out the questions that wait for an answer, and keep the answers of one person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from ganq_irl.errors import ConfigurationError
from ganq_irl.feedback.questions import Questions
from ganq_irl.files import made_folder, require_own

LOCK_OF_PAGE = ".page.lock"


@dataclass(frozen=True)
class Desk:
    """What lies on the desk of the person who answers.

    Attributes:
        question: file name of the question to show, or None if none waits.
        following: file name of the question that comes next, or None.
        undoable: file name of the question that was answered last, or None.
        n_answered: number of questions with an answer.
        n_waiting: number of questions without one.
    """

    question: str | None
    following: str | None
    undoable: str | None
    n_answered: int
    n_waiting: int


class Answering:
    """The answers of one person in a folder of questions.

    Any number of threads may use it, but a question is answered only once: who comes second is told so.

    Args:
        questions: the folder.
        who: name of the person.

    Example:
        >>> from ganq_irl.feedback import Questions, cut_segments
        >>> questions = Questions("feedback")
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> question = questions.add([left, right], env.observation_space, env.action_space)
        >>> answering = Answering(questions, "anna")
        >>> answering.answer(question, "left"), answering.answer(question, "right")
        (True, False)
        >>> answering.undo(question), answering.desk().question == question
        (True, True)
    """

    def __init__(self, questions: Questions, who: str) -> None:
        self.questions, self.who = questions, who
        self._lock = Lock()

    def desk(self) -> Desk:
        """Return the question to show and the progress."""
        waiting = self.questions.unanswered()
        return Desk(
            question=next(iter(waiting), None),
            following=next(iter(waiting[1:]), None),
            undoable=self._undoable(),
            n_answered=len(self.questions) - len(waiting),
            n_waiting=len(waiting),
        )

    def answer(self, question: str, answer: str) -> bool:
        """Append an answer and return True, or return False if the question has one already.

        Raises:
            ConfigurationError: there is no such question or answer.
        """
        with self._lock:
            if question in self.questions.answers():
                return False
            self.questions.answer(question, answer, self.who)
            return True

    def undo(self, question: str) -> bool:
        """Withdraw the answer to a question and return True, or return False if it is not the last answer of this person."""
        with self._lock:
            if question != self._undoable():
                return False
            self.questions.answer(question, None, self.who)
            return True

    def _undoable(self) -> str | None:
        standing = self.questions.answers()
        for given in reversed(self.questions.history()):
            if given.who == self.who and standing.get(given.question) == given:
                return given.question
        return None


@contextmanager
def only_page(questions: Questions) -> Iterator[None]:
    """Keep other pages from showing the same questions, until the block or the process ends.

    Raises:
        ConfigurationError: another page shows them.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(require_own(made_folder(questions.folder)) / LOCK_OF_PAGE)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigurationError(
            f"another page is open for {questions.folder}; use that one, or stop it with Ctrl+C first"
        ) from error
    try:
        yield
    finally:
        lock.release()
