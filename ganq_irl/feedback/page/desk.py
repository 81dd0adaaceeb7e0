"""Hand out the pairs that wait for an answer, and keep the answers of one person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from ganq_irl.errors import ConfigurationError
from ganq_irl.feedback.comparisons import Comparisons
from ganq_irl.files import made_folder, require_own

LOCK_OF_PAGE = ".page.lock"


@dataclass(frozen=True)
class Desk:
    """What lies on the desk of the person who answers.

    Attributes:
        pair: file name of the pair to show, or None if none waits.
        following: file name of the pair that comes next, or None.
        undoable: file name of the pair that was answered last, or None.
        n_answered: number of pairs with an answer.
        n_waiting: number of pairs without one.
    """

    pair: str | None
    following: str | None
    undoable: str | None
    n_answered: int
    n_waiting: int


class Answering:
    """The answers of one person to a folder of comparisons.

    Any number of threads may use it, but a pair is answered only once: who comes second is told so.

    Args:
        comparisons: the folder.
        who: name of the person.

    Example:
        >>> from ganq_irl.feedback import Comparisons, cut_segments
        >>> comparisons = Comparisons("feedback")
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> pair = comparisons.add(left, right, env.observation_space, env.action_space)
        >>> answering = Answering(comparisons, "anna")
        >>> answering.answer(pair, "left"), answering.answer(pair, "right")
        (True, False)
        >>> answering.undo(pair), answering.desk().pair == pair
        (True, True)
    """

    def __init__(self, comparisons: Comparisons, who: str) -> None:
        self.comparisons, self.who = comparisons, who
        self._lock = Lock()

    def desk(self) -> Desk:
        """Return the pair to show and the progress."""
        waiting = self.comparisons.unanswered()
        return Desk(
            pair=next(iter(waiting), None),
            following=next(iter(waiting[1:]), None),
            undoable=self._undoable(),
            n_answered=len(self.comparisons) - len(waiting),
            n_waiting=len(waiting),
        )

    def answer(self, pair: str, answer: str) -> bool:
        """Append an answer and return True, or return False if the pair has one already.

        Raises:
            ConfigurationError: there is no such pair or answer.
        """
        with self._lock:
            if pair in self.comparisons.answers():
                return False
            self.comparisons.answer(pair, answer, self.who)
            return True

    def undo(self, pair: str) -> bool:
        """Withdraw the answer to a pair and return True, or return False if it is not the last answer of this person."""
        with self._lock:
            if pair != self._undoable():
                return False
            self.comparisons.answer(pair, None, self.who)
            return True

    def _undoable(self) -> str | None:
        standing = self.comparisons.answers()
        for given in reversed(self.comparisons.history()):
            if given.who == self.who and standing.get(given.pair) == given:
                return given.pair
        return None


@contextmanager
def only_page(comparisons: Comparisons) -> Iterator[None]:
    """Keep other pages from showing the same pairs, until the block or the process ends.

    Raises:
        ConfigurationError: another page shows them.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(require_own(made_folder(comparisons.folder)) / LOCK_OF_PAGE)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigurationError(
            f"another page is open for {comparisons.folder}; use that one, or stop it with Ctrl+C first"
        ) from error
    try:
        yield
    finally:
        lock.release()
