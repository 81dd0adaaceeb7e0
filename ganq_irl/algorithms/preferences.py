"""Learning from preferences between segments of the generator's own behavior."""

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
from ganq_irl.feedback import Comparison, Comparisons, Steps, build_teacher, draw_segments, preferences_of
from ganq_irl_demos import Demonstrations, Trajectory
from ganq_irl_demos.episodes import Episodes

CANDIDATES = 10
"""Random pairs for each pair that is asked, of which those are chosen that the networks disagree about most."""
ASKED_BY = 0.8
"""Progress at which the last question is asked: an answer at the end of a run would change nothing."""


@dataclass(frozen=True, kw_only=True)
class PreferencesSettings(RewardLearningSettings):
    """Settings of learning from preferences.

    Attributes:
        teacher: ``true-reward`` answers by the environment's reward, ``human`` waits for answers of a person, and
            ``module:function``, or a function, is called with the left and the right segment.
        n_queries: number of comparisons that are asked for.
        first_share: share of them that is asked at once about the first, random behavior.
        n_sessions: number of times at which the others are asked for. The intervals between them grow over the run.
        teacher_mistakes: share of wrong answers of ``true-reward``.
        equal_within: difference of returns up to which two segments are equal for ``true-reward``.
        comparisons: folder in which pairs and answers are kept; a run keeps them in its own folder ``feedback``. Pairs with
            an answer there are not asked again.
    """

    teacher: str | Callable[..., Any] = "true-reward"
    n_queries: int = 500
    first_share: float = 0.25
    n_sessions: int = 12
    teacher_mistakes: float = 0.0
    equal_within: float = 0.0
    comparisons: str | None = None


class Preferences(RewardLearning):
    """Deep reinforcement learning from preferences (Christiano et al., 2017).

    A teacher compares pairs of segments of the generator's behavior. An ensemble of networks learns a reward from all
    answers with the loss of Bradley and Terry, and the generator learns on the mean of the networks. The first questions are
    about random behavior. Later ones are about pairs on which the networks disagree.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: episodes whose segments are part of the first comparisons; None by default.
        **settings: the fields of ``PreferencesSettings``.

    Attributes:
        teacher: who answers.
        comparisons: all pairs that were asked, with their answers.
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
        self.comparisons: list[Comparison] = []
        self.folder = None if settings.comparisons is None else Comparisons(settings.comparisons)
        self._rng = np.random.default_rng(settings.seed)

    def keep_in(self, folder: Path) -> None:
        """Keep pairs and answers in this folder, unless the setting ``comparisons`` names another."""
        if self.folder is None:
            self.folder = Comparisons(folder)

    @property
    def sees_reward(self) -> bool:
        """Whether the answers depend on the environment's reward."""
        return self.teacher.sees_reward

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        with super()._installed(callbacks) as callback:
            yield callback
        if not self.comparisons:
            warnings.warn(
                f"nothing was compared: no episode had {self.segment_length} steps in a row, and none terminated earlier; "
                "set a smaller segment_length, or train for longer",
                stacklevel=4,
            )

    def _collected(self, steps: Callable[[], Steps], progress: float) -> None:
        n_asked, settings = len(self.comparisons), self.settings
        n_due = queries_due(settings.n_queries, settings.first_share, settings.n_sessions, n_asked, progress)
        if not n_due:
            return
        pairs = self._pairs(steps(), n_due)
        if not pairs:  # the first episode is still too short
            return
        answers = self._ask(pairs)
        for (left, right), answer in zip(pairs, answers, strict=True):
            self.comparisons.append(Comparison(replace(left, rewards=None), replace(right, rewards=None), answer))
        self.ensemble = self.reward_learner.learn(self.comparisons, *self._spaces, self.generator.device)
        self.is_learned = any(comparison.answer not in (None, "skipped") for comparison in self.comparisons)
        self._record()

    def _pairs(self, steps: Steps, n: int) -> list[tuple[Trajectory, Trajectory]]:
        """Return the pairs to ask about: random ones, and later those that the networks disagree about most."""
        n_candidates = CANDIDATES * n if self.is_learned else n
        segments = draw_segments(steps, 2 * n_candidates, self.segment_length, self._rng)
        if not segments:
            return []
        if self.demonstrations is not None and not self.is_learned:
            segments[::2] = self._cut(self.demonstrations, n_candidates, self._rng)
        left, right = segments[::2], segments[1::2]
        order = np.arange(n)
        if self.is_learned:
            disagreement = preferences_of(self.ensemble, left, right, *self._spaces).var(dim=0, correction=0)
            order = np.argsort(-disagreement.cpu().numpy(), kind="stable")[:n]
            self.generator.logger.record("preferences/disagreement", float(disagreement.mean()))
        return [(left[index], right[index]) for index in order]

    def _ask(self, pairs: Sequence[tuple[Trajectory, Trajectory]]) -> list[str]:
        """Return the answer to each pair; those that the folder has already are not asked again."""
        first = len(self.comparisons)
        numbers = range(first, first + len(pairs))
        if self.folder is None:
            return self.teacher.answer(pairs, numbers, None, [])
        names = [self.folder.add(left, right, *self._spaces, self._provenance()["env"]) for left, right in pairs]
        known = self.folder.answers()
        new = [index for index, name in enumerate(names) if name not in known]
        asked = [names[index] for index in new]
        answers = self.teacher.answer([pairs[index] for index in new], [numbers[index] for index in new], self.folder, asked)
        found = {name: str(given.answer) for name, given in known.items()} | dict(zip(asked, answers, strict=True))
        kept = self.folder.answers()  # a person's are
        for name in asked:
            if name not in kept:
                self.folder.answer(name, found[name], who=self.teacher.name)
        return [found[name] for name in names]

    def _record(self) -> None:
        given = [comparison for comparison in self.comparisons if comparison.answer in ("left", "right")]
        logger = self.generator.logger
        logger.record("preferences/comparisons", len(self.comparisons))
        if given:
            left, right = [comparison.left for comparison in given], [comparison.right for comparison in given]
            chances = preferences_of(self.ensemble, left, right, *self._spaces).mean(dim=0).cpu()
            is_left = torch.tensor([comparison.answer == "left" for comparison in given])
            logger.record("preferences/accuracy", ((chances > 0.5) == is_left).float().mean().item())

    def _provenance(self) -> dict[str, Any]:
        answers = {"teacher": self.teacher.name, "sees_reward": self.sees_reward, "comparisons": len(self.comparisons)}
        return {**super()._provenance(), **answers}

    def _repr_details(self) -> dict[str, Any]:
        return {"teacher": self.teacher.name, "comparisons": len(self.comparisons)}

    def _state_dict(self) -> dict[str, Any]:
        segments = [segment for comparison in self.comparisons for segment in (comparison.left, comparison.right)]
        arrays = Demonstrations(segments, *self._spaces).arrays if segments else {}
        return {
            **super()._state_dict(),
            "segments": {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()},
            "answers": [comparison.answer for comparison in self.comparisons],
            "rng": self._rng.bit_generator.state,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        super()._load_state_dict(state)
        self._rng.bit_generator.state = state["rng"]
        answers, self.comparisons = state["answers"], []
        if answers:
            arrays = {name: tensor.cpu().numpy() for name, tensor in state["segments"].items()}
            segments = Episodes.from_arrays(arrays, [None] * (2 * len(answers)), self._spaces[0], "the saved state")
            pairs = zip(segments[::2], segments[1::2], answers, strict=True)
            self.comparisons = [Comparison(left, right, answer) for left, right, answer in pairs]


def queries_due(n_queries: int, first_share: float, n_sessions: int, n_asked: int, progress: float) -> int:
    """Return how many comparisons to ask for now.

    After the first ones, they are asked for in ``n_sessions`` groups. The rate falls linearly over the run, as later
    behavior changes less.

    Args:
        n_queries: number of comparisons in the whole run.
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
