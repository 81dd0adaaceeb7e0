"""Adversarial imitation: one discriminator, one Stable-Baselines3 generator, one ``learn()``."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from ganq_irl.algorithms.base import GeneratorImitation, batch_for, demonstrations_for
from ganq_irl.algorithms.cloning import CloningUpdates
from ganq_irl.algorithms.ends import EpisodeEnds
from ganq_irl.algorithms.sampling import EpochSampler, seeded_torch
from ganq_irl.algorithms.settings import Schedule, Settings, rate_at, updates_due
from ganq_irl.discriminator import BaseDiscriminator, DiscriminatorLearner
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.stabilizers import StabilizerSpec, build_stabilizers
from ganq_irl.errors import TrainingDiverged
from ganq_irl.generators.acceleration import imported, why_slow
from ganq_irl.generators.callbacks import substituting
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.internals import generator_state, last_observations, load_generator_state
from ganq_irl.generators.off_policy.pricing import OffPolicyCallback, relabeled
from ganq_irl.generators.off_policy.replay import ReplayView, replaying
from ganq_irl.generators.on_policy.popart import ValueNormalizer
from ganq_irl.generators.on_policy.pricing import OnPolicyCallback
from ganq_irl.generators.on_policy.recorder import TransitionRecorder
from ganq_irl.generators.policies.outputs import log_probs
from ganq_irl.rewards import RewardModel, build_reward_form
from ganq_irl.types import Batch
from ganq_irl_demos import OPTIONAL_FIELDS, Demonstrations

FAST_LEARNER = "ganq_irl.accelerated.discriminator:FastLearner"
ON_POLICY_MEMORY = 0.8
"""Weight of earlier rollouts in the share of absorbed steps; the share of a single rollout is that of a few episodes."""


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(Settings):
    """Settings that all adversarial algorithms have.

    Attributes:
        reward: the generator's reward, a name in ``REWARD_FORMS``.
        loss: the discriminator's loss, a name in ``LOSSES``.
        hidden_sizes: widths of the discriminator's hidden layers.
        activation: activation between them, a name in ``ACTIVATIONS``.
        stabilizers: list of names in ``STABILIZERS``, or of tables ``{"name": ..., setting: value}``.
        n_updates: discriminator updates per round. By default 8 on-policy, where a round is a rollout, and 1 off-policy,
            where it is a collection of experience. 0.5 is one update every two rounds.
        batch_size: transitions of each side per update.
        learning_rate: learning rate of the discriminator, a number or a function of the remaining progress.
        absorbing: whether a terminated episode continues in an absorbing state, whose reward is the log-ratio of the counted
            shares of steps that the expert and the policy spend there; see ``ganq_irl.algorithms.ends``. Without it, an end
            is worth 0. The reward ``score`` has no log-ratio, and ignores this.
        bc_updates: updates of behavioral cloning on the demonstrations before each rollout (Jena et al., 2020), for an
            on-policy generator.
        task_weight: weight w of the environment's reward, in [0, 1): the generator gets (1 - w) times the discriminator's
            reward plus w times the environment's. With 0, it never sees the environment's reward.
        frozen: never train the discriminator. This control shows the effect of a random, fixed reward.
        seed: seed of the discriminator, its batches and its noise; the generator has a seed of its own.
    """

    reward: str = "logit"
    loss: str = "bce"
    hidden_sizes: Sequence[int] = (64, 64)
    activation: str = "relu"
    stabilizers: Sequence[StabilizerSpec] | None = ("spectral-norm",)
    n_updates: float | None = None
    batch_size: int = 256
    learning_rate: Schedule = 1e-3
    absorbing: bool = True
    bc_updates: int = 0
    task_weight: float = 0.0
    frozen: bool = False


class AdversarialImitation(GeneratorImitation):
    """Train a generator on the reward of a discriminator that is trained at the same time.

    Each round follows a collection of experience. The discriminator is updated on demonstrations (real) and the generator's
    transitions (fake), which then get their rewards. On-policy, the whole rollout gets rewards in one batch before its
    advantages are computed. Off-policy, each batch gets rewards when it is sampled. The generator never sees the
    environment's reward, unless ``task_weight`` says so.

    Subclasses define the discriminator's input in ``_build_discriminator``.

    Example:
        >>> issubclass(GAIL, AdversarialImitation)
        True
        >>> GAIL(ppo, demos).price(batch).shape  # the rewards of 64 transitions
        torch.Size([64])
    """

    settings: AdversarialSettings
    _fast: Any = None  # updates and scores the discriminator while this learns, wherever that is exact

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: AdversarialSettings) -> None:
        check_generator(self.name, generator, settings.batch_size)
        on_policy = isinstance(generator, OnPolicyAlgorithm)
        self.generator, self.settings = generator, settings
        self.n_updates = settings.n_updates or (8 if on_policy else 1)
        with seeded_torch(settings.seed):
            discriminator = self._build_discriminator().to(generator.device)
            loaded = self._load(demonstrations, discriminator)
            self._demonstrations, self.demonstrations_checksum = batch_for(generator, loaded), loaded.checksum
            self.learner = DiscriminatorLearner(
                discriminator,
                self._demonstrations,
                loss=settings.loss,
                stabilizers=[*build_stabilizers(self._stabilizers()), *(["frozen"] if settings.frozen else [])],
                learning_rate=rate_at(settings.learning_rate, 1.0),
                seed=settings.seed,
            )
        self.reward_form = build_reward_form(settings.reward)
        self.reward_form.check(discriminator, self.learner.loss)
        n_clonings = settings.bc_updates
        self._cloning = CloningUpdates(generator, self._demonstrations, n_clonings, settings.seed) if n_clonings else None
        counts = settings.absorbing and self.reward_form.counts_ends
        self.ends = (
            EpisodeEnds(loaded, generator, self.reward_form, ON_POLICY_MEMORY if on_policy else 1.0) if counts else None
        )

        self._rng = torch.Generator(generator.device).manual_seed(settings.seed)
        self._numpy_rng = np.random.default_rng(settings.seed)
        self._sampler = EpochSampler(len(self._demonstrations), self._rng)
        self._n_rounds = 0
        normalizes = on_policy and getattr(
            settings, "normalize_values", False
        )  # DAC is never on-policy and has no such setting
        self._values = ValueNormalizer(generator.policy) if normalizes else None  # type: ignore[arg-type]

    @abstractmethod
    def _build_discriminator(self) -> BaseDiscriminator:
        """Build the networks for the generator's spaces."""

    def _stabilizers(self) -> Sequence[StabilizerSpec]:
        return self.settings.stabilizers or ()

    @property
    def _needs_log_probs(self) -> bool:
        return self.learner.discriminator.outputs_log_ratio

    def _load(self, demonstrations: Any, discriminator: BaseDiscriminator) -> Demonstrations:
        needs_actions = discriminator.outputs_log_ratio or self.settings.bc_updates
        seen = {*discriminator.encoder.fields, *(["actions"] if needs_actions else [])}
        return demonstrations_for(self.generator, demonstrations, [name for name in OPTIONAL_FIELDS if name in seen])

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        """Yield the callback that trains the discriminator and computes rewards, followed by the other callbacks."""
        self._fast = imported(FAST_LEARNER)(self.learner) if self.slow_reason is None else None
        try:
            with self._calling(callbacks) as callback:
                yield callback
        finally:
            self._fast = None

    @contextmanager
    def _calling(self, callbacks: Sequence[BaseCallback]) -> Iterator[BaseCallback]:
        generator: Any = self.generator
        callbacks = [*(each for each in (self.ends, self._cloning) if each is not None), *callbacks]
        if isinstance(generator, OffPolicyAlgorithm):
            assert generator.replay_buffer is not None
            with replaying(generator, self._view(relabeled(generator.replay_buffer, self.price, self.settings.task_weight))):
                training = OffPolicyCallback(self.train, self.settings.batch_size, self._numpy_rng)
                yield CallbackList([training, *callbacks])
        else:
            recorder = TransitionRecorder(
                generator.get_env(), lambda: last_observations(generator), self.settings.task_weight
            )
            own = OnPolicyCallback(self._train_on_rollout, recorder, self._values)
            try:
                with substituting([own, *callbacks], env=recorder) as callback:
                    yield callback
            finally:
                if self._values is not None:
                    self._values.end_update()

    @property
    def values_ends(self) -> bool:
        """Whether a terminal transition is paid what the end of an episode is worth, counted or learned."""
        return self.ends is not None

    @property
    def slow_reason(self) -> str | None:
        """Why the discriminator's updates go through autograd; None if they are written out, as DAC's are by default."""
        return why_slow(FAST_LEARNER, self.learner)

    def _view(self, relabeled: ReplayView) -> ReplayView:
        """Return the buffer that an off-policy generator samples from."""
        return relabeled

    # Each round, the generator's callback calls one of the next two methods, and gets rewards from ``price``.

    def _train_on_rollout(self, rollout: Batch, progress_remaining: float) -> Tensor:
        """Train the discriminator on a whole rollout, and return the reward of each of its transitions, ``(batch,)``."""
        if self._draws_all(rollout):
            rollout = self._with_log_probs(rollout)
        pool, sampler = self._pool(rollout), EpochSampler(len(rollout), self._rng)
        self.train((pool[sampler.draw(self.settings.batch_size)] for _ in itertools.count()), progress_remaining)
        return self.price(rollout)

    def train(self, fakes: Iterator[Batch | Encoded], progress_remaining: float) -> None:
        """Update the discriminator ``n_updates`` times, each time on a batch of ``fakes`` and as many demonstrations.

        Metrics are logged as means over the round, except accuracies, gap and entropy, which are those of its last update.

        Args:
            fakes: endless batches of ``batch_size`` distinct transitions of the generator.
            progress_remaining: falls from 1 to 0 over ``learn``.
        """
        n_updates = updates_due(self.n_updates, self._n_rounds)
        self._n_rounds += 1
        if self.ends is not None:
            self.ends.update()
            for key, value in self.ends.metrics().items():
                self.generator.logger.record(f"discriminator/{key}", value)
        if n_updates:
            self.learner.set_learning_rate(rate_at(self.settings.learning_rate, progress_remaining))
            self._update(n_updates, fakes)

    def _update(self, n_updates: int, fakes: Iterator[Batch | Encoded]) -> None:
        demonstrations = self._pool(self._demonstrations)
        learner, rounds = self._fast or self.learner, list[dict[str, Tensor]]()
        for number, fake in zip(range(1, n_updates + 1), fakes):  # noqa: B905  # fakes are endless
            sides = demonstrations[self._sampler.draw(self.settings.batch_size)], fake
            learned = [self._as_learned(side) if isinstance(side, Batch) else side for side in sides]
            rounds.append(learner.update(*learned, measures=number == n_updates))
        if len(rounds) > 1:
            of_all = {key: [metrics[key] for metrics in rounds if key in metrics] for key in rounds[-1]}
            rounds.append({key: torch.stack(values).mean() for key, values in of_all.items()})
        self._log(rounds[-1])

    def _pool(self, batch: Batch) -> Batch | Encoded:
        """Return the rows that a round samples from, encoded if encoding all of them is cheaper than encoding the samples.

        Images are encoded after sampling, since they take four times the memory when encoded.
        """
        if not self._draws_all(batch):
            return batch
        batch = self._with_log_probs(batch)
        return batch if self.learner.discriminator.encoder.has_images else self.learner.encode(batch)

    def _draws_all(self, batch: Batch) -> bool:
        return len(batch) <= self.n_updates * self.settings.batch_size

    def price(self, batch: Batch) -> Tensor:
        """Return the current discriminator's reward of each transition, ``(batch,)``, weighted by 1 - ``task_weight``."""
        with torch.no_grad():
            rewards = self._reward_of(batch) + self._end_bonus(batch.dones)
            if self.settings.task_weight:
                rewards *= 1 - self.settings.task_weight
        if not math.isfinite(rewards.sum()):  # a single check, since this runs at every gradient step
            raise TrainingDiverged(
                f"the reward {self.reward_form.name!r} is no longer finite after {self.learner.n_updates} updates of the "
                "discriminator; lower the learning rates of generator and discriminator"
            )
        return rewards

    def _reward_of(self, batch: Batch) -> Tensor:
        scorer = self._fast or self.learner.scorer
        if self.reward_form.needs_log_prob(scorer):
            batch = self._with_log_probs(batch)
        return self.reward_form(
            scorer, self.learner.loss, scorer.encode(batch), 0.0 if self.ends is None else self.ends.alive
        )

    def _end_bonus(self, dones: Tensor) -> Tensor | float:
        """Return what a terminal row earns beyond its own reward."""
        return 0.0 if self.ends is None else self.ends.bonus(dones)

    def _as_learned(self, batch: Batch) -> Batch:
        """Prepare the rows of either side for an update."""
        return self._with_log_probs(batch)

    def _with_log_probs(self, batch: Batch) -> Batch:
        if not self._needs_log_probs or batch.log_probs is not None:
            return batch
        return replace(batch, log_probs=log_probs(self.generator, batch, self._temperature()))

    def _temperature(self) -> float:
        """Temperature of the Boltzmann policy of a generator that learns values."""
        return 1.0

    def _log(self, metrics: dict[str, Tensor]) -> None:
        values = dict(zip(metrics, torch.stack([*metrics.values()]).tolist(), strict=True))  # a single synchronization
        if not np.isfinite(values["loss"]):
            raise TrainingDiverged(
                f"the discriminator's loss is {values['loss']} after {self.learner.n_updates} updates; "
                "lower its learning rate, or add a stabilizer such as 'spectral-norm'"
            )
        for key, value in values.items():
            self.generator.logger.record(f"discriminator/{key}", value)

    def _repr_details(self) -> dict[str, Any]:
        stabilizers = [stabilizer.settings()["name"] for stabilizer in self.learner.stabilizers]  # type: ignore[operator]
        return {"reward": self.reward_form.name, "loss": self.learner.loss.name, "stabilizers": stabilizers}

    # The recovered reward and the state to save.

    def recovered_reward(self) -> RewardModel:
        """Return the reward as a function of the transition only. Later training does not change it."""
        provenance = {**self._provenance(), "discriminator_updates": self.learner.n_updates}
        return RewardModel(self.learner.scorer, self._recovered_form, self.learner.loss.name, provenance)

    @property
    def _recovered_form(self) -> str:
        return self.reward_form.name

    def _state_dict(self) -> dict[str, Any]:
        return {
            "generator": generator_state(self.generator),
            "learner": self.learner.state_dict(),
            "values": self._values.state_dict() if self._values else None,
            "ends": self.ends.state_dict() if self.ends else None,
            "cloning": self._cloning.state_dict() if self._cloning else None,
            "sampler": self._sampler.state_dict(),
            "n_rounds": self._n_rounds,
            "rng": self._rng.get_state(),
            "numpy_rng": self._numpy_rng.bit_generator.state,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        if (state["values"] is None) != (self._values is None):
            raise ValueError("only one of them has a normalized value head; use the same normalize_values as when saving")
        if (state["ends"] is None) != (self.ends is None):
            raise ValueError("only one of them counts ends; use the same absorbing as when saving")
        if (state["cloning"] is None) != (self._cloning is None):
            raise ValueError("only one of them clones as well; use the same bc_updates as when saving")
        load_generator_state(self.generator, state["generator"])
        self.learner.load_state_dict(state["learner"])
        if self._values is not None:
            self._values.load_state_dict(state["values"])
        if self.ends is not None:
            self.ends.load_state_dict(state["ends"])
        if self._cloning is not None:
            self._cloning.load_state_dict(state["cloning"])
        self._sampler.load_state_dict(state["sampler"])
        self._n_rounds = state["n_rounds"]
        self._rng.set_state(state["rng"].cpu())
        self._numpy_rng.bit_generator.state = state["numpy_rng"]
