"""Rewards from rankings: T-REX of ranked demonstrations, and D-REX of clones with ever more noise."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.algorithms.base import demonstrations_for
from ganq_irl.algorithms.bc import BC
from ganq_irl.algorithms.reward_learning import RewardLearning, RewardLearningSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator import STATE
from ganq_irl.errors import ConfigurationError
from ganq_irl.feedback import Comparison, Steps, compare_ranked, draw_segments
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.experience import StepRecorder
from ganq_irl.generators.observations import demonstrated_spaces
from ganq_irl_demos import OPTIONAL_FIELDS, Demonstrations, Trajectory
from ganq_irl_demos.recording.policies import RandomPolicy

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RankingSettings(RewardLearningSettings):
    """Settings of all algorithms that learn a reward from a ranking.

    Attributes:
        inputs: inputs of the reward, names of transition fields. By default observations, as in both papers: from
            actions the reward could learn which policy acted, rather than what is worth reaching.
        n_comparisons: number of pairs of segments.
        n_updates: updates of each network.
        segment_length: steps of a segment. By default 25, or fewer if all demonstrations are shorter.
    """

    inputs: Sequence[str] = STATE
    n_comparisons: int = 1000
    n_updates: int = 300


class RankingLearning(RewardLearning):
    """Base class for algorithms that learn a reward from a ranking first, and then train a generator on it.

    Example:
        >>> issubclass(TREX, RankingLearning) and issubclass(DREX, RankingLearning)
        True
    """

    settings: RankingSettings
    default_length = 25  # on Pendulum, ranked rewards of shorter segments and fewer updates were more faithful

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        check_generator(self.name, generator, batch_size=1)  # before the demonstrations, which would fit no better
        self._demonstrations = demonstrations_for(generator, demonstrations, needs=OPTIONAL_FIELDS)
        self.demonstrations_checksum = self._demonstrations.checksum
        super()._build(generator, demonstrations, settings)

    def _most_steps(self, generator: Any) -> tuple[str, int]:
        return "the longest demonstration", max(map(len, self._demonstrations))

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        if not self.is_learned:
            self.learn_reward()
        with super()._installed(callbacks) as callback:
            yield callback

    def learn_reward(self) -> None:
        """Learn the reward; ``learn`` does so first, unless it was done."""
        comparisons = self._comparisons(np.random.default_rng(self.settings.seed))
        self.ensemble = self.reward_learner.learn(comparisons, *self._spaces, self.generator.device)
        self.is_learned = True

    @abstractmethod
    def _comparisons(self, rng: np.random.Generator) -> list[Comparison]:
        """Return the comparisons to learn from."""

    def _collected(self, steps: Callable[[], Steps], progress: float) -> None:
        """Do nothing: the reward was learned before."""


@dataclass(frozen=True, kw_only=True)
class TREXSettings(RankingSettings):
    """Settings of T-REX.

    Attributes:
        ranks: rank of each demonstration, higher is better. By default those in the file, or else their returns.
    """

    ranks: Sequence[float] | None = None


class TREX(RankingLearning):
    """Trajectory-ranked reward extrapolation (Brown et al., 2019).

    A reward is learned from pairs of segments, one of a better and one of a worse demonstration. It can rank behavior that
    is better than all demonstrations, and the generator is trained on it.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``TREXSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> trex = TREX(ppo, demos, ranks=[1, 2], n_comparisons=20, n_updates=10).learn(256)
        >>> trex.recovered_reward().price(batch).shape
        torch.Size([64])
    """

    name = "t-rex"
    modes: ClassVar = {"default": TREXSettings}
    settings: TREXSettings

    @takes_settings(TREXSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: TREXSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        super()._build(generator, demonstrations, settings)
        self.ranks, self._ranked_by = _ranks(self._demonstrations, settings.ranks)

    def _comparisons(self, rng: np.random.Generator) -> list[Comparison]:
        _log.info("ranked %d demonstrations by %s", len(self.ranks), self._ranked_by)
        draw = [partial(self._cut, [one], rng=rng) for one in self._demonstrations]
        return compare_ranked(draw, self.ranks, self.settings.n_comparisons, rng)


@dataclass(frozen=True, kw_only=True)
class DREXSettings(RankingSettings):
    """Settings of D-REX.

    Attributes:
        noises: shares of random actions; the clone's behavior is ranked by them, and less is better.
        noise_margin: shares that differ by less are not compared.
        noise_steps: environment steps with each share, before training.
        n_clone_updates: updates of behavioral cloning.
    """

    noises: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0)
    noise_margin: float = 0.2
    noise_steps: int = 2000
    n_clone_updates: int = 5000

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if not all(0 <= noise <= 1 for noise in self.noises):
            raise ConfigurationError(f"noises: given {list(self.noises)}; expected shares of random actions, from 0 to 1")


class DREX(RankingLearning):
    """Disturbance-based reward extrapolation (Brown et al., 2020).

    The demonstrations are cloned, and the clone acts with ever more random actions, so that its behavior becomes ever worse.
    This ranking teaches a reward as in T-REX, without a rank or a return of any demonstration.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``DREXSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> short = {"n_comparisons": 20, "n_updates": 10, "noise_steps": 100, "n_clone_updates": 10}
        >>> drex = DREX(ppo, demos, **short).learn(256)
        >>> drex.recovered_reward().price(batch).shape
        torch.Size([64])
    """

    name = "d-rex"
    modes: ClassVar = {"default": DREXSettings}
    settings: DREXSettings

    @takes_settings(DREXSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: DREXSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _comparisons(self, rng: np.random.Generator) -> list[Comparison]:
        settings, env = self.settings, self.generator.get_env()
        assert env is not None
        clone = BC(*demonstrated_spaces(env), self._demonstrations, seed=settings.seed, device=self.generator.device)
        clone.train(settings.n_clone_updates)
        recorder = StepRecorder(env, observed=lambda: None)
        n_steps = -(-settings.noise_steps // env.num_envs)
        chance = RandomPolicy(env.action_space, settings.seed)

        def act(noise: float, observations: Any) -> np.ndarray:
            actions = clone.predict(observations, deterministic=True)[0]
            for index in np.flatnonzero(rng.random(env.num_envs) < noise):
                actions[index] = chance.predict(None)[0]
            return actions

        played = [recorder.play(partial(act, noise), n_steps) for noise in settings.noises]
        draw = [partial(self._draw, steps, rng=rng) for steps in played]
        return compare_ranked(
            draw, [-noise for noise in settings.noises], settings.n_comparisons, rng, settings.noise_margin
        )

    def _draw(self, steps: Steps, n: int, rng: np.random.Generator) -> list[Trajectory]:
        segments = draw_segments(steps, n, self.segment_length, rng)
        if not segments:
            raise ConfigurationError(
                f"no episode of the clone had {self.segment_length} steps in a row; set a smaller segment_length, or more "
                "noise_steps"
            )
        return segments


def _ranks(demonstrations: Demonstrations, given: Sequence[float] | None) -> tuple[list[float], str]:
    """Return the rank of each demonstration, and what it is taken from.

    Raises:
        ConfigurationError: there are no returns, or as many ranks as demonstrations were not given.
    """
    sources = {"the setting ranks": given, "their ranks": demonstrations.ranks, "their returns": demonstrations.returns}
    name, found = next(((name, each) for name, each in sources.items() if each is not None), ("", None))
    if found is None:
        raise ConfigurationError(
            f"{demonstrations.source} holds neither ranks nor rewards to rank by; give a column rank, or the setting ranks"
        )
    n, ranks = len(demonstrations), list(map(float, found))
    if len(ranks) != n:
        raise ConfigurationError(f"ranks: given {len(ranks)} for {n} demonstrations; give one for each, higher is better")
    return ranks, name
