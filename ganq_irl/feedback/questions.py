"""Questions about segments in a folder, and answers that are never lost.

``NUMBER-CHECKSUM.npz`` holds a question in the native format of demonstrations: two trajectories to compare, left and right,
or one to rate. ``answers.jsonl`` holds one line of JSON for each answer. Files are only added, and lines only appended; the
last answer to a question counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, ReadLimitExceeded, StorageError, nearest
from ganq_irl.files import LARGEST_JSON, append_line, made_folder, read_text, require_own, require_plain
from ganq_irl.parsing import parse_json
from ganq_irl_demos import Demonstrations, Trajectory, load_demonstrations, save_demonstrations

COMPARED = ("left", "right", "equal", "skipped")
"""Valid answers to which of two segments is better; a skipped question teaches nothing."""
RATED = ("1", "2", "3", "4", "5", "skipped")
"""Valid answers to how good a segment is, from worst to best."""

ANSWERS_FILE = "answers.jsonl"
_QUESTION = re.compile(r"(\d{6,})-([0-9a-f]{16})\.npz")
_LONGEST_NAME = 200


def answers_to(segments: Sequence[Trajectory]) -> tuple[str, ...]:
    """Return the valid answers to a question about these segments, which are two to compare, or one to rate.

    Example:
        >>> answers_to([demos[0], demos[1]])
        ('left', 'right', 'equal', 'skipped')
    """
    return RATED if len(segments) == 1 else COMPARED


def require_answer(answer: str, segments: Sequence[Trajectory], source: str) -> None:
    """Check that an answer from a file is a valid one.

    Raises:
        StorageError: it is one to another kind of question.

    Example:
        >>> require_answer("left", [demos[0]], "000001-0123456789abcdef.npz")
        Traceback (most recent call last):
        ganq_irl.errors.StorageError: ...
    """
    if answer not in answers_to(segments):
        raise StorageError(f"{source} has the answer {answer!r}; expected {' or '.join(answers_to(segments))}")


@dataclass(frozen=True)
class Answer:
    """An answer to a question.

    Attributes:
        question: file name of the question.
        answer: one of ``COMPARED`` or ``RATED``, or None for an answer that was withdrawn.
        who: who answered: a person, or a teacher such as ``true-reward``.
        when: date and time in UTC, in ISO 8601.

    Example:
        >>> Answer("000001-0123456789abcdef.npz", "left", "anna", "2026-01-31T12:00:00+00:00").answer
        'left'
    """

    question: str
    answer: str | None
    who: str
    when: str


class Questions:
    """A folder with questions and their answers.

    Several processes may use it at the same time: a run adds questions, and people answer them. A line that was cut off when
    a process was killed is ignored, and the next answer replaces it.

    Args:
        folder: the folder, which is made with the first question.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> questions = Questions("feedback")
        >>> which = questions.add([left, right], env.observation_space, env.action_space)
        >>> how_good = questions.add([left], env.observation_space, env.action_space)
        >>> questions.answer(which, "left", who="anna")
        >>> questions.answer(how_good, "4", who="anna")
        >>> [given.answer for given in questions.answers().values()]
        ['left', '4']
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def add(
        self,
        segments: Sequence[Trajectory],
        observation_space: spaces.Space,
        action_space: spaces.Space,
        env_id: str | None = None,
    ) -> str:
        """Write a question and return its file name; one that is there already is not written again.

        Rewards and ranks are left out, so that nobody who answers sees them.

        Raises:
            StorageError: the folder contains a link or a special file.
            GanqIrlError: the segments do not fit the spaces.
        """
        shown = [replace(segment, rewards=None, rank=None) for segment in segments]
        question = Demonstrations(shown, observation_space, action_space, env_id, source="a question")
        names, checksum = self.names(), question.checksum[:16]
        same = next((name for name in names if checksum in name), None)
        if same is not None:
            return same
        number = 1 + max((int(name.partition("-")[0]) for name in names), default=0)
        name = f"{number:06d}-{checksum}.npz"
        save_demonstrations(question, require_own(made_folder(self.folder)) / name)
        return name

    def answer(self, question: str, answer: str | None, who: str) -> None:
        """Append an answer and flush it to disk. None withdraws an earlier one.

        Raises:
            ConfigurationError: there is no such question or answer, or ``who`` is not a name.
        """
        if question not in self.names():
            raise ConfigurationError(f"{self.folder} has no question {question!r}; {nearest(question, self.names()[:20])}")
        if answer is not None and answer not in (valid := answers_to(self.load(question))):
            raise ConfigurationError(f"unknown answer {answer!r}; {nearest(str(answer), valid)}")
        if not who.strip() or len(who) > _LONGEST_NAME:
            raise ConfigurationError(f"who: given {who[:40]!r}; expected a name of 1 to {_LONGEST_NAME} characters")
        given = Answer(question, answer, who, datetime.now(UTC).isoformat(timespec="seconds"))
        append_line(require_own(self.folder) / ANSWERS_FILE, json.dumps(asdict(given)))

    def names(self) -> list[str]:
        """Return the file names of all questions, in the order in which they were added."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in require_plain(self.folder).iterdir() if _QUESTION.fullmatch(path.name))

    def answers(self) -> dict[str, Answer]:
        """Return the last answer to each question, in the order of the questions; those without an answer are left out.

        Raises:
            StorageError: the file is not one of answers, or names a question that is missing.
        """
        last = {given.question: given for given in self.history()}
        missing = sorted(set(last) - set(self.names()))
        if missing:
            raise StorageError(f"{self.folder} lacks {missing[0]}, to which there is an answer; copy the folder again")
        return {name: last[name] for name in self.names() if name in last and last[name].answer is not None}

    def history(self) -> list[Answer]:
        """Return all answers in the order in which they were given, including those that were changed or withdrawn.

        Raises:
            StorageError: the file is not one of answers.
        """
        path = self.folder / ANSWERS_FILE
        if not path.is_file():
            return []
        *lines, _ = read_text(require_plain(path), LARGEST_JSON).split("\n")  # the last line ends, or was cut off
        return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]

    def unanswered(self) -> list[str]:
        """Return the file names of the questions that wait for an answer."""
        answered = self.answers()
        return [name for name in self.names() if name not in answered]

    def load(self, question: str) -> Demonstrations:
        """Read the segments of a question: left and right, or the one to rate.

        Raises:
            StorageError: the file does not hold the question of this name.
            DemoFormatError: it is damaged.
        """
        loaded = load_demonstrations(self.folder / question, needs=())
        named = _QUESTION.fullmatch(question)
        if named is None or not loaded.checksum.startswith(named[2]) or len(loaded) not in (1, 2):
            raise StorageError(f"{self.folder / question} does not hold the question of that name; copy the folder again")
        return loaded

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.names())

    def check(self) -> dict[str, int]:
        """Read everything, and return how many questions have each answer, or none.

        Raises:
            GanqIrlError: a file is missing, damaged, or does not belong to the others.
        """
        names, answers = self.names(), self.answers()
        if not names:
            raise StorageError(f"{self.folder} holds no questions; give a folder that `train preferences` wrote")
        first = self.load(names[0])
        counts = dict.fromkeys([*answers_to(first), "unanswered"], 0)
        for name in names:
            found = first if name == names[0] else self.load(name)
            if (found.observation_space, found.action_space) != (first.observation_space, first.action_space):
                raise StorageError(f"{self.folder / name} is of other spaces than {names[0]}; keep them in two folders")
            answer = "unanswered"
            if name in answers:
                answer = str(answers[name].answer)
                require_answer(answer, found, str(self.folder / name))
            counts[answer] = counts.get(answer, 0) + 1
        return counts


def _parse(line: str, source: str) -> Answer:
    try:
        found = parse_json(line, source)
    except ReadLimitExceeded:
        raise
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{source} is not JSON ({error}); restore it from a copy, or delete the line") from error
    match found:
        case {"question": str(), "answer": None | str() as answer, "who": str(), "when": str(), **others}:
            if not others and answer in (None, *COMPARED, *RATED):
                return Answer(**found)
    raise StorageError(f"{source} is not an answer to a question; restore it from a copy, or delete the line")
