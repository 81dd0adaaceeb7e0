"""Comparisons of segments in a folder: pairs of segments to compare, and answers that are never lost.

``NUMBER-CHECKSUM.npz`` holds a pair in the native format of demonstrations: two trajectories, left and right.
``answers.jsonl`` holds one line of JSON for each answer. Files are only added, and lines only appended; the last answer to a
pair counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, ReadLimitExceeded, StorageError, nearest
from ganq_irl.files import LARGEST_JSON, append_line, made_folder, read_text, require_own, require_plain
from ganq_irl.parsing import parse_json
from ganq_irl_demos import Demonstrations, Trajectory, load_demonstrations, save_demonstrations

ANSWERS = ("left", "right", "equal", "skipped")
"""Valid answers to the question which segment is better; a skipped pair teaches nothing."""

ANSWERS_FILE = "answers.jsonl"
_PAIR = re.compile(r"(\d{6,})-([0-9a-f]{16})\.npz")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Answer:
    """An answer to a pair of segments.

    Attributes:
        pair: file name of the pair.
        answer: one of ``ANSWERS``, or None for an answer that was withdrawn.
        who: who answered: a person, or a teacher such as ``true-reward``.
        when: date and time in UTC, in ISO 8601.

    Example:
        >>> Answer("000001-0123456789abcdef.npz", "left", "anna", "2026-01-31T12:00:00+00:00").answer
        'left'
    """

    pair: str
    answer: str | None
    who: str
    when: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two segments, and which of them is better.

    Attributes:
        left: a segment.
        right: another one.
        answer: one of ``ANSWERS``, or None if there is no answer yet.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> Comparison(left, right, "equal").answer
        'equal'
    """

    left: Trajectory
    right: Trajectory
    answer: str | None = None


class Comparisons:
    """A folder with pairs of segments and their answers.

    Several processes may use it at the same time: a run adds pairs, and people answer them. A line that was cut off when a
    process was killed is ignored, and the next answer replaces it.

    Args:
        folder: the folder, which is made with the first pair.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> comparisons = Comparisons("feedback")
        >>> pair = comparisons.add(left, right, env.observation_space, env.action_space)
        >>> comparisons.unanswered() == [pair]
        True
        >>> comparisons.answer(pair, "left", who="anna")
        >>> [comparison.answer for comparison in comparisons]
        ['left']
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def add(
        self,
        left: Trajectory,
        right: Trajectory,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        env_id: str | None = None,
    ) -> str:
        """Write a pair and return its file name; a pair that is there already is not written again.

        Rewards are left out, so that nobody who answers sees them.

        Raises:
            StorageError: the folder contains a link or a special file.
            GanqIrlError: the segments do not fit the spaces.
        """
        shown = [replace(segment, rewards=None) for segment in (left, right)]
        pair = Demonstrations(shown, observation_space, action_space, env_id, source="a pair of segments")
        names, checksum = self.pairs(), pair.checksum[:16]
        same = next((name for name in names if checksum in name), None)
        if same is not None:
            return same
        number = 1 + max((int(name.partition("-")[0]) for name in names), default=0)
        name = f"{number:06d}-{checksum}.npz"
        save_demonstrations(pair, require_own(made_folder(self.folder)) / name)
        return name

    def answer(self, pair: str, answer: str | None, who: str) -> None:
        """Append an answer and flush it to disk. None withdraws an earlier one.

        Raises:
            ConfigurationError: there is no such pair or answer, or ``who`` is not a name.
        """
        if pair not in self.pairs():
            raise ConfigurationError(f"{self.folder} has no pair {pair!r}; {nearest(pair, self.pairs()[:20])}")
        if answer is not None and answer not in ANSWERS:
            raise ConfigurationError(f"unknown answer {answer!r}; {nearest(str(answer), ANSWERS)}")
        if not who.strip() or len(who) > _LONGEST_NAME:
            raise ConfigurationError(f"who: given {who[:40]!r}; expected a name of 1 to {_LONGEST_NAME} characters")
        given = Answer(pair, answer, who, datetime.now(UTC).isoformat(timespec="seconds"))
        append_line(require_own(self.folder) / ANSWERS_FILE, json.dumps(asdict(given)))

    def pairs(self) -> list[str]:
        """Return the file names of all pairs, in the order in which they were added."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in require_plain(self.folder).iterdir() if _PAIR.fullmatch(path.name))

    def answers(self) -> dict[str, Answer]:
        """Return the last answer to each pair, in the order of the pairs; pairs without an answer are left out.

        Raises:
            StorageError: the file is not one of answers, or names a pair that is missing.
        """
        last = {given.pair: given for given in self.history()}
        missing = sorted(set(last) - set(self.pairs()))
        if missing:
            raise StorageError(f"{self.folder} lacks {missing[0]}, to which there is an answer; copy the folder again")
        return {pair: last[pair] for pair in self.pairs() if pair in last and last[pair].answer is not None}

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
        """Return the file names of the pairs that wait for an answer."""
        answered = self.answers()
        return [pair for pair in self.pairs() if pair not in answered]

    def load(self, pair: str) -> Demonstrations:
        """Read the segments of a pair, left and right.

        Raises:
            StorageError: the file does not hold the pair of this name.
            DemoFormatError: it is damaged.
        """
        loaded = load_demonstrations(self.folder / pair, needs=())
        named = _PAIR.fullmatch(pair)
        if named is None or not loaded.checksum.startswith(named[2]) or len(loaded) != 2:
            raise StorageError(f"{self.folder / pair} does not hold the two segments of that name; copy the folder again")
        return loaded

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.pairs())

    def __iter__(self) -> Iterator[Comparison]:
        """Iterate over all pairs with their answers."""
        answers = self.answers()
        for pair in self.pairs():
            left, right = self.load(pair)
            yield Comparison(left, right, answers[pair].answer if pair in answers else None)

    def check(self) -> dict[str, int]:
        """Read everything, and return how many pairs have each answer, or none.

        Raises:
            GanqIrlError: a file is missing, damaged, or does not belong to the others.
        """
        pairs = self.pairs()
        if not pairs:
            raise StorageError(f"{self.folder} holds no pairs of segments; give a folder that `train preferences` wrote")
        first = self.load(pairs[0])
        for pair in pairs:
            found = self.load(pair)
            if (found.observation_space, found.action_space) != (first.observation_space, first.action_space):
                raise StorageError(f"{self.folder / pair} is of other spaces than {pairs[0]}; keep them in two folders")
        given = [answer.answer for answer in self.answers().values()]
        return {answer: given.count(answer) for answer in ANSWERS} | {"unanswered": len(pairs) - len(given)}


def _parse(line: str, source: str) -> Answer:
    try:
        found = parse_json(line, source)
    except ReadLimitExceeded:
        raise
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{source} is not JSON ({error}); restore it from a copy, or delete the line") from error
    match found:
        case {"pair": str(), "answer": None | "left" | "right" | "equal" | "skipped", "who": str(), "when": str(), **others}:
            if not others:
                return Answer(**found)
    raise StorageError(f"{source} is not an answer to a pair; restore it from a copy, or delete the line")
