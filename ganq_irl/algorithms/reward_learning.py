"""Base class for algorithms that learn a reward from compared segments, and train a generator on it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from ganq_irl.algorithms.base import GeneratorImitation
from ganq_irl.algorithms.settings import Settings
from ganq_irl.discriminator import STATE_ACTION, EnsembleDiscriminator
from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.feedback import RewardLearner, Steps, cut_segments
from ganq_irl.generators.callbacks import substituting
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.experience import StepRecorder, replayed_steps
from ganq_irl.generators.internals import (
    generator_state,
    last_observations,
    load_generator_state,
    progress_remaining,
    time_limit,
)
from ganq_irl.generators.off_policy.pricing import relabeled
from ganq_irl.generators.off_policy.replay import replaying
from ganq_irl.generators.on_policy.popart import ValueNormalizer
from ganq_irl.generators.on_policy.pricing import OnPolicyCallback
from ganq_irl.rewards import RewardModel
from ganq_irl.spaces import in_layout_of
from ganq_irl.types import Batch
from ganq_irl_demos import Trajectory

NEWEST = 10_000
"""Newest steps of each environment in a replay buffer that segments are cut from."""


@dataclass(frozen=True, kw_only=True)
class RewardLearningSettings(Settings):
    """Settings of all algorithms that learn a reward from compared segments.

    Attributes:
        inputs: inputs of the reward, names of transition fields.
        segment_length: steps of a segment. By default 50, or fewer where episodes or rollouts are shorter.
        hidden_sizes: widths of the reward networks' hidden layers.
        activation: activation between them, a name in ``ACTIVATIONS``.
        n_members: number of reward networks, whose mean is the reward.
        n_updates: updates of each network whenever the reward is learned.
        batch_size: comparisons per update.
        learning_rate: learning rate of the reward networks, which falls to 0 over the updates.
        mistake_rate: assumed share of answers that are a coin flip.
        normalize_values: whether PopArt normalizes the value head of an on-policy generator.
    """

    inputs: Sequence[str] = STATE_ACTION
    segment_length: int | None = None
    hidden_sizes: Sequence[int] = (64, 64)
    activation: str = "tanh"
    n_members: int = 3
    n_updates: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    mistake_rate: float = 0.1
    normalize_values: bool = True


class RewardLearning(GeneratorImitation):
    """Train a generator on a reward that is learned from compared segments.

    On-policy, the whole rollout gets rewards before its advantages are computed. Off-policy, each batch gets rewards when it
    is sampled, so that the generator learns from all of its experience with the latest reward (Lee et al., 2021, call this
    relabeling). The generator never sees the environment's reward.

    Example:
        >>> issubclass(Preferences, RewardLearning)
        True
    """

    settings: RewardLearningSettings
    ensemble: EnsembleDiscriminator
    default_length: ClassVar[int] = 50
    is_learned = False

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: RewardLearningSettings) -> None:
        check_generator(self.name, generator, batch_size=1)
        self.generator, self.settings = generator, settings
        self.segment_length = self._segment_length(settings.segment_length, *self._most_steps(generator))
        self.reward_learner = RewardLearner(
            inputs=settings.inputs,
            hidden_sizes=settings.hidden_sizes,
            activation=settings.activation,
            n_members=settings.n_members,
            n_updates=settings.n_updates,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            mistake_rate=settings.mistake_rate,
            seed=settings.seed,
        )
        self.ensemble = self.reward_learner.untrained(*self._spaces, generator.device).eval().requires_grad_(False)
        normalizes = isinstance(generator, OnPolicyAlgorithm) and settings.normalize_values
        self._values = ValueNormalizer(generator.policy) if normalizes else None  # type: ignore[arg-type]

    @property
    def _spaces(self) -> tuple[Any, Any]:
        return self.generator.observation_space, self.generator.action_space

    def _most_steps(self, generator: Any) -> tuple[str, int]:
        """Return the most steps that a segment can have, and what limits them."""
        on_policy = isinstance(generator, OnPolicyAlgorithm)
        name, most = ("n_steps", generator.n_steps) if on_policy else ("buffer_size", generator.replay_buffer.buffer_size)
        horizon = time_limit(generator)
        return (name, most) if horizon is None or horizon >= most else ("the environment's time limit", horizon)

    def _segment_length(self, given: int | None, name: str, most: int) -> int:
        if given is not None and given > most:
            raise ConfigurationError(f"segment_length: given {given}, but {name} is {most}; give at most {most}")
        return min(self.default_length, most) if given is None else given

    def _cut(self, trajectories: Sequence[Trajectory], n: int, rng: np.random.Generator) -> list[Trajectory]:
        """Return segments of demonstrations, with images as the generator sees them."""
        space = self.generator.observation_space
        segments = cut_segments(trajectories, n, self.segment_length, rng)
        return [replace(one, observations=in_layout_of(space, one.observations)) for one in segments]

    @abstractmethod
    def _collected(self, steps: Callable[[], Steps], progress: float) -> None:
        """Learn the reward, if it is time to, after each collection of experience.

        Args:
            steps: returns the newest steps.
            progress: rises from 0 to 1 over ``learn``.
        """

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        generator: Any = self.generator
        if isinstance(generator, OffPolicyAlgorithm):
            assert generator.replay_buffer is not None
            with replaying(generator, relabeled(generator.replay_buffer, self.price)):
                yield CallbackList([_Collected(self._collected), *callbacks])
            return
        recorder = StepRecorder(generator.get_env(), observed=lambda: last_observations(generator))

        def price_rollout(rollout: Batch, remaining: float) -> Tensor:
            self._collected(recorder.steps, 1 - remaining)
            return self.price(rollout)

        try:
            own = OnPolicyCallback(price_rollout, recorder, self._values)
            with substituting([own, *callbacks], env=recorder) as callback:
                yield callback
        finally:
            if self._values is not None:
                self._values.end_update()

    @torch.no_grad()
    def price(self, batch: Batch) -> Tensor:
        """Return the learned reward of each transition, ``(batch,)``; 0 before anything was learned.

        Raises:
            TrainingDiverged: a reward is not finite.
        """
        if not self.is_learned:
            return torch.zeros(len(batch), device=batch.device)
        rewards = self.ensemble.score(self.ensemble.encode(batch))
        if not math.isfinite(rewards.sum()):
            raise TrainingDiverged(f"the reward of {self.name} is not finite; lower its learning_rate")
        return rewards

    def recovered_reward(self) -> RewardModel:
        """Return the reward as a function of the transition. Later training does not change it."""
        return RewardModel(self.ensemble, "score", "bradley-terry", self._provenance())

    def _state_dict(self) -> dict[str, Any]:
        return {
            "generator": generator_state(self.generator),
            "ensemble": dict(self.ensemble.state_dict()),
            "is_learned": self.is_learned,
            "values": self._values.state_dict() if self._values else None,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        if (state["values"] is None) != (self._values is None):
            raise ValueError("only one of them has a normalized value head; use the same normalize_values as when saving")
        load_generator_state(self.generator, state["generator"])
        self.ensemble.load_state_dict(state["ensemble"])
        self.is_learned = state["is_learned"]
        if self._values is not None:
            self._values.load_state_dict(state["values"])


class _Collected(BaseCallback):
    """Call ``collected`` after each collection of an off-policy generator's experience, once it may learn."""

    model: OffPolicyAlgorithm

    def __init__(self, collected: Callable[[Callable[[], Steps], float], None]) -> None:
        super().__init__()
        self.collected = collected

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.replay_buffer
        assert buffer is not None
        if self.model.num_timesteps >= self.model.learning_starts:
            self.collected(lambda: replayed_steps(buffer, NEWEST), 1 - progress_remaining(self.model))
