"""Learning from preferences between segments of the generator's own behavior, or from ratings of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.algorithms.base import demonstrations_for
from ganq_irl.algorithms.reward_learning import RewardLearning, RewardLearningSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.feedback import (
    Comparison,
    Questions,
    Steps,
    build_teacher,
    compare_rated,
    draw_segments,
    preferences_of,
    require_answer,
    sums_of,
)
from ganq_irl_demos import Demonstrations, Trajectory
from ganq_irl_demos.episodes import Episodes

ASKS = {"comparisons": 2, "ratings": 1}
"""What is asked for -> the number of segments in a question."""
CANDIDATES = 10
"""Random questions for each one that is asked, of which those are chosen that the networks disagree about most."""
ASKED_BY = 0.8
"""Progress at which the last question is asked: an answer at the end of a run would change nothing."""
COMPARISONS = 20
"""Comparisons that are drawn for each rating."""


@dataclass(frozen=True, kw_only=True)
class PreferencesSettings(RewardLearningSettings):
    """Settings of learning from preferences.

    Attributes:
        teacher: ``true-reward`` answers by the environment's reward, ``human`` waits for answers of a person, and
            ``module:function``, or a function, is called with the left and the right segment, or the one to rate.
        ask: ``comparisons`` of two segments, or ``ratings`` of one, from 1 to 5, which are compared with each other.
        n_queries: number of answers that are asked for.
        first_share: share of them that is asked at once about the first, random behavior.
        n_sessions: number of times at which the others are asked for. The intervals between them grow over the run.
        teacher_mistakes: share of wrong answers of ``true-reward``.
        equal_within: difference of returns up to which two segments are equal for ``true-reward``.
        questions: folder in which questions and answers are kept; a run keeps them in its own folder ``feedback``. What
            has an answer there is not asked again.
    """

    teacher: str | Callable[..., Any] = "true-reward"
    ask: str = "comparisons"
    n_queries: int = 500
    first_share: float = 0.25
    n_sessions: int = 12
    teacher_mistakes: float = 0.0
    equal_within: float = 0.0
    questions: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.ask not in ASKS:
            raise ConfigurationError(f"ask: given {self.ask!r}; {nearest(self.ask, ASKS)}")


class Preferences(RewardLearning):
    """Deep reinforcement learning from preferences (Christiano et al., 2017).

    A teacher compares pairs of segments of the generator's behavior, or rates single ones. An ensemble of networks learns a
    reward from all answers with the loss of Bradley and Terry, and the generator learns on the mean of the networks. The
    first questions are about random behavior. Later ones are about segments on which the networks disagree.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: episodes whose segments are part of the first questions; None by default.
        **settings: the fields of ``PreferencesSettings``.

    Attributes:
        teacher: who answers.
        answered: the segments of each question that was asked, with its answer.
        folder: where they are kept, or None.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> preferences = Preferences(ppo, n_queries=8, segment_length=5, n_updates=10).learn(512)
        >>> len(preferences.comparisons)
        8
        >>> preferences.recovered_reward().price(batch).shape
        torch.Size([64])
    """

    name = "preferences"
    modes: ClassVar = {"default": PreferencesSettings}
    settings: PreferencesSettings

    @takes_settings(PreferencesSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any = None, settings: Any = None) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: PreferencesSettings) -> None:  # type: ignore[override]
        super()._build(generator, demonstrations, settings)
        self.demonstrations = None
        if demonstrations is not None:
            self.demonstrations = demonstrations_for(generator, demonstrations, needs=("actions", "next_observations"))
        self.demonstrations_checksum = None if self.demonstrations is None else self.demonstrations.checksum
        self.teacher = build_teacher(
            settings.teacher, mistakes=settings.teacher_mistakes, equal_within=settings.equal_within, seed=settings.seed
        )
        if settings.ask == "ratings" and not self.teacher.rates:
            raise ConfigurationError(
                f"the teacher {self.teacher.name} only compares; for ratings use human or module:function"
            )
        self.answered: list[tuple[tuple[Trajectory, ...], str]] = []
        self.folder = None if settings.questions is None else Questions(settings.questions)
        self._rng = np.random.default_rng(settings.seed)

    def keep_in(self, folder: Path) -> None:
        """Keep questions and answers in this folder, unless the setting ``questions`` names another."""
        if self.folder is None:
            self.folder = Questions(folder)

    @property
    def comparisons(self) -> list[Comparison]:
        """What the reward is learned from: the answers, or comparisons that follow from the ratings."""
        if self.settings.ask == "comparisons":
            return [Comparison(left, right, answer) for (left, right), answer in self.answered]
        rng = np.random.default_rng([self.settings.seed, len(self.answered)])
        return compare_rated([(segment, answer) for (segment,), answer in self.answered], COMPARISONS, rng)

    @property
    def sees_reward(self) -> bool:
        """Whether the answers depend on the environment's reward."""
        return self.teacher.sees_reward

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        with super()._installed(callbacks) as callback:
            yield callback
        if not self.answered:
            warnings.warn(
                f"nothing was asked: no episode had {self.segment_length} steps in a row, and none terminated earlier; "
                "set a smaller segment_length, or train for longer",
                stacklevel=4,
            )

    def _collected(self, steps: Callable[[], Steps], progress: float) -> None:
        n_asked, settings = len(self.answered), self.settings
        n_due = queries_due(settings.n_queries, settings.first_share, settings.n_sessions, n_asked, progress)
        if not n_due:
            return
        questions = self._choose(steps(), n_due)
        if not questions:  # the first episode is still too short
            return
        answers = self._ask(questions)
        for segments, answer in zip(questions, answers, strict=True):
            self.answered.append((tuple(replace(segment, rewards=None) for segment in segments), answer))
        comparisons = self.comparisons
        self.ensemble = self.reward_learner.learn(comparisons, *self._spaces, self.generator.device)
        self.is_learned = any(comparison.answer != "skipped" for comparison in comparisons)
        self._record(comparisons)

    def _choose(self, steps: Steps, n: int) -> list[tuple[Trajectory, ...]]:
        """Return the segments to ask about: random ones, and later those that the networks disagree about most."""
        size, n_candidates = ASKS[self.settings.ask], CANDIDATES * n if self.is_learned else n
        segments = draw_segments(steps, size * n_candidates, self.segment_length, self._rng)
        if not segments:
            return []
        if self.demonstrations is not None and not self.is_learned:
            segments[::2] = self._cut(self.demonstrations, len(segments[::2]), self._rng)
        candidates = list(zip(*[segments[start::size] for start in range(size)], strict=True))
        if not self.is_learned:
            return candidates
        if size == 1:
            beliefs = sums_of(self.ensemble, segments, *self._spaces)
        else:
            beliefs = preferences_of(self.ensemble, segments[::2], segments[1::2], *self._spaces)
        disagreement = beliefs.var(dim=0, correction=0)
        self.generator.logger.record("preferences/disagreement", float(disagreement.mean()))
        order = np.argsort(-disagreement.cpu().numpy(), kind="stable")[:n]
        return [candidates[index] for index in order]

    def _ask(self, questions: Sequence[tuple[Trajectory, ...]]) -> list[str]:
        """Return the answer to each question; those that the folder has already are not asked again."""
        numbers = range(len(self.answered), len(self.answered) + len(questions))
        if self.folder is None:
            return self.teacher.answer(questions, numbers, None, [])
        names = [self.folder.add(segments, *self._spaces, self._provenance()["env"]) for segments in questions]
        known = self.folder.answers()
        new = [index for index, name in enumerate(names) if name not in known]
        asked = [names[index] for index in new]
        answers = self.teacher.answer(
            [questions[index] for index in new], [numbers[index] for index in new], self.folder, asked
        )
        found = {name: str(given.answer) for name, given in known.items()} | dict(zip(asked, answers, strict=True))
        kept = self.folder.answers()  # a person's are
        for name in asked:
            if name not in kept:
                self.folder.answer(name, found[name], who=self.teacher.name)
        for name, segments in zip(names, questions, strict=True):
            require_answer(found[name], segments, str(self.folder.folder / name))
        return [found[name] for name in names]

    def _record(self, comparisons: Sequence[Comparison]) -> None:
        given = [comparison for comparison in comparisons if comparison.answer in ("left", "right")]
        logger = self.generator.logger
        logger.record("preferences/answers", len(self.answered))
        if given:
            left, right = [comparison.left for comparison in given], [comparison.right for comparison in given]
            chances = preferences_of(self.ensemble, left, right, *self._spaces).mean(dim=0).cpu()
            is_left = torch.tensor([comparison.answer == "left" for comparison in given])
            logger.record("preferences/accuracy", ((chances > 0.5) == is_left).float().mean().item())

    def _provenance(self) -> dict[str, Any]:
        answers = {"teacher": self.teacher.name, "sees_reward": self.sees_reward, self.settings.ask: len(self.answered)}
        return {**super()._provenance(), **answers}

    def _repr_details(self) -> dict[str, Any]:
        return {"teacher": self.teacher.name, self.settings.ask: len(self.answered)}

    def _state_dict(self) -> dict[str, Any]:
        segments = [segment for segments, _ in self.answered for segment in segments]
        arrays = Demonstrations(segments, *self._spaces).arrays if segments else {}
        return {
            **super()._state_dict(),
            "segments": {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()},
            "answers": [answer for _, answer in self.answered],
            "rng": self._rng.bit_generator.state,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        super()._load_state_dict(state)
        self._rng.bit_generator.state = state["rng"]
        answers, self.answered = state["answers"], []
        if answers:
            size = ASKS[self.settings.ask]
            arrays = {name: tensor.cpu().numpy() for name, tensor in state["segments"].items()}
            nothing = [None] * (size * len(answers))
            segments = Episodes.from_arrays(arrays, nothing, nothing, self._spaces[0], "the saved state")
            groups = zip(*[segments[start::size] for start in range(size)], strict=True)
            self.answered = list(zip(groups, answers, strict=True))


def queries_due(n_queries: int, first_share: float, n_sessions: int, n_asked: int, progress: float) -> int:
    """Return how many answers to ask for now.

    After the first ones, they are asked for in ``n_sessions`` groups. The rate falls linearly over the run, as later
    behavior changes less.

    Args:
        n_queries: number of answers in the whole run.
        first_share: share that is asked for at once.
        n_sessions: number of groups of the others.
        n_asked: number that was asked for already.
        progress: rises from 0 to 1 over the run.
    """
    first = min(n_queries, max(1, round(first_share * n_queries)))
    if not n_asked:
        return first
    group = math.ceil((n_queries - first) / n_sessions)
    spent = min(1.0, progress / ASKED_BY)
    due = first + math.floor((n_queries - first) * (1 - (1 - spent) ** 2) + 1e-9)
    return due - n_asked if due - n_asked >= group or due == n_queries else 0
