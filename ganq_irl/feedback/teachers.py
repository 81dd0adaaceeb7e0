"""Teachers: who answers which of two segments is better, or how good a segment is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganq_irl.environments.own import named_function, names_function
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.feedback.questions import Questions, answers_to
from ganq_irl_demos import Trajectory

Asked = Sequence[Sequence[Trajectory]]
_SECONDS = 0.5
"""Time between two looks at the answers of a person."""


class Teacher(ABC):
    """Base class for teachers.

    Attributes:
        name: name in the file of answers.
        sees_reward: whether its answers depend on the environment's reward.
        rates: whether it can rate single segments.

    Example:
        >>> from ganq_irl.feedback import build_teacher
        >>> build_teacher("true-reward").sees_reward
        True
    """

    name: str
    sees_reward = False
    rates = True

    @abstractmethod
    def answer(self, asked: Asked, numbers: Sequence[int], folder: Questions | None, names: Sequence[str]) -> list[str]:
        """Return one of ``answers_to(segments)`` for each question.

        Args:
            asked: the segments of each question: two to compare, left and right, or one to rate.
            numbers: number of each question, counted from the start of the run.
            folder: where the questions and their answers are kept, or None.
            names: file names of the questions in it.
        """


class TrueReward(Teacher):
    """A synthetic teacher that prefers the segment with the higher sum of the environment's rewards.

    Args:
        mistakes: share of answers that are wrong.
        equal_within: difference of the sums up to which two segments are equal.
        seed: seed of the mistakes.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> rng = np.random.default_rng(0)
        >>> (short,), (long,) = cut_segments(demos, 1, 5, rng), cut_segments(demos, 1, 9, rng)
        >>> TrueReward().answer([(short, long), (long, long)], [0, 1], None, [])  # each step is worth 1
        ['right', 'equal']
    """

    name = "true-reward"
    sees_reward = True
    rates = False  # where a rating ends and the next begins is for a person to say

    def __init__(self, mistakes: float = 0.0, equal_within: float = 0.0, seed: int = 0) -> None:
        self.mistakes, self.equal_within, self.seed = mistakes, equal_within, seed

    def answer(
        self, asked: Asked, numbers: Sequence[int], folder: Questions | None = None, names: Sequence[str] = ()
    ) -> list[str]:
        """Return the answers; a mistake depends only on the seed and the number of the question.

        Raises:
            ConfigurationError: a segment has no rewards.
        """
        return [self._answer(*segments, number=number) for segments, number in zip(asked, numbers, strict=True)]

    def _answer(self, left: Trajectory, right: Trajectory, *, number: int) -> str:
        sums = [segment.episode_return for segment in (left, right)]
        if None in sums:
            raise ConfigurationError("the teacher true-reward compares rewards, and a segment has none; use another teacher")
        difference = sums[0] - sums[1]  # type: ignore[operator]
        if abs(difference) <= self.equal_within:
            return "equal"
        is_wrong = np.random.default_rng([self.seed, number]).random() < self.mistakes
        return "left" if (difference > 0) != is_wrong else "right"


class FunctionTeacher(Teacher):
    """A teacher that calls a function of the segments: two to compare, or one to rate.

    Args:
        function: returns one of ``COMPARED`` for two segments, or one of ``RATED``, also as a number, for one.
        name: name in the file of answers.

    Example:
        >>> FunctionTeacher(lambda left, right: "equal").answer([(demos[0], demos[1])], [0])
        ['equal']
    """

    def __init__(self, function: Callable[..., Any], name: str = "function") -> None:
        self.function, self.name = function, name

    def answer(
        self, asked: Asked, numbers: Sequence[int], folder: Questions | None = None, names: Sequence[str] = ()
    ) -> list[str]:
        """Return the function's answers.

        Raises:
            ConfigurationError: the function returned something else.
        """
        return [self._answer(segments) for segments in asked]

    def _answer(self, segments: Sequence[Trajectory]) -> str:
        answer, valid = self.function(*segments), answers_to(segments)
        if str(answer) not in valid:
            raise ConfigurationError(f"the teacher {self.name} returned {answer!r}; expected {' or '.join(valid)}")
        return str(answer)


class Human(Teacher):
    """Waits until a person has answered in the folder of questions.

    Args:
        told: called with the folder and the number of questions that wait, once for each group.
        wait: called between two looks.

    Example:
        >>> Human().name
        'human'
    """

    name = "human"

    def __init__(
        self,
        told: Callable[[Questions, int], None] | None = None,
        wait: Callable[[], None] = lambda: time.sleep(_SECONDS),
    ) -> None:
        self.told, self.wait = told, wait

    def answer(
        self, asked: Asked, numbers: Sequence[int], folder: Questions | None = None, names: Sequence[str] = ()
    ) -> list[str]:
        """Return the answers when all questions have one.

        Raises:
            ConfigurationError: there is no folder.
        """
        if folder is None:
            raise ConfigurationError("the teacher human answers in a folder; set questions to one")
        if self.told is not None:
            self.told(folder, len(names))
        while not set(names) <= (given := folder.answers()).keys():
            self.wait()
        return [str(given[name].answer) for name in names]


TEACHERS = ("true-reward", "human")


def build_teacher(teacher: Any, *, mistakes: float = 0.0, equal_within: float = 0.0, seed: int = 0) -> Teacher:
    """Return a teacher: a name in ``TEACHERS``, ``module:function``, a function of segments, or a ``Teacher``.

    Args:
        teacher: the teacher. The user must have named the module of ``module:function`` with ``--teacher`` or ``--import``.
        mistakes: share of wrong answers of ``true-reward``.
        equal_within: difference of returns up to which segments are equal for ``true-reward``.
        seed: seed of the mistakes.

    Raises:
        ConfigurationError: unknown teacher, or a module that the user did not name.

    Example:
        >>> build_teacher(lambda left, right: "skipped").name
        'function'
    """
    if isinstance(teacher, Teacher):
        return teacher
    if teacher == TrueReward.name:
        return TrueReward(mistakes, equal_within, seed)
    if teacher == Human.name:
        return Human()
    if isinstance(teacher, str) and names_function(teacher):
        return FunctionTeacher(named_function(teacher), teacher)
    if callable(teacher):
        return FunctionTeacher(teacher)
    raise ConfigurationError(f"unknown teacher {teacher!r}; {nearest(str(teacher), TEACHERS)}, or module:function")
