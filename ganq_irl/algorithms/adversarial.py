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

from ganq_irl.algorithms.base import GeneratorImitation, demonstrations_for
from ganq_irl.algorithms.sampling import EpochSampler, seeded_torch
from ganq_irl.algorithms.settings import Schedule, Settings, rate_at, updates_due
from ganq_irl.discriminator import BaseDiscriminator, DiscriminatorLearner
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.stabilizers import StabilizerSpec, build_stabilizers
from ganq_irl.errors import TrainingDiverged
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.internals import last_observations
from ganq_irl.generators.log_probs import log_probs
from ganq_irl.generators.off_policy import OffPolicyCallback, relabeled
from ganq_irl.generators.on_policy import OnPolicyCallback
from ganq_irl.generators.recorder import TransitionRecorder
from ganq_irl.generators.replay_views import ReplayView, replaying
from ganq_irl.generators.spaces import in_layout_of
from ganq_irl.generators.state import generator_state, load_generator_state
from ganq_irl.generators.substitution import substituting
from ganq_irl.generators.values import ValueNormalizer
from ganq_irl.rewards import RewardModel, build_reward_form
from ganq_irl.types import Batch
from ganq_irl_demos import OPTIONAL_FIELDS


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(Settings):
    """Settings that all adversarial algorithms have.

    Attributes:
        reward: what the generator is paid, a name in ``REWARD_FORMS``.
        loss: the discriminator's loss, a name in ``LOSSES``.
        hidden_sizes: widths of the discriminator's hidden layers.
        activation: activation between them, a name in ``ACTIVATIONS``.
        stabilizers: list of names in ``STABILIZERS``, or of tables ``{"name": ..., setting: value}``.
        n_updates: discriminator updates a round. By default 8 on-policy, where a round is a rollout, and 1 off-policy, where
            it is a collection of experience. 0.5 is one update every second round.
        batch_size: transitions of each side in an update.
        learning_rate: the discriminator's, a number or a function of the progress remaining.
        frozen: never train the discriminator. This control shows what a random fixed reward is worth.
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
    frozen: bool = False


class AdversarialImitation(GeneratorImitation):
    """Train a generator on the reward that a discriminator gives it while both learn.

    One round follows each collection of experience: the discriminator is updated on demonstrations (real) and the
    generator's transitions (fake), which are then priced. On-policy the whole rollout is priced in one forward before its
    advantages are computed; off-policy each batch is priced as it is sampled. The environment's own reward never reaches the
    generator.

    Subclasses say what the score sees, through ``_build_discriminator``.
    """

    settings: AdversarialSettings

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: AdversarialSettings) -> None:
        check_generator(self.name, generator, settings.batch_size)
        on_policy = isinstance(generator, OnPolicyAlgorithm)
        self.generator, self.settings = generator, settings
        self.n_updates = settings.n_updates or (8 if on_policy else 1)
        with seeded_torch(settings.seed):
            discriminator = self._build_discriminator().to(generator.device)
            self._demonstrations, self.demonstrations_checksum = self._load(demonstrations, discriminator)
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

        self._rng = torch.Generator(generator.device).manual_seed(settings.seed)
        self._numpy_rng = np.random.default_rng(settings.seed)
        self._sampler = EpochSampler(len(self._demonstrations), self._rng)
        self._n_rounds = 0
        normalizes = on_policy and getattr(settings, "normalize_values", False)  # DAC, never on-policy, has no such setting
        self._values = ValueNormalizer(generator.policy) if normalizes else None  # type: ignore[arg-type]

    @abstractmethod
    def _build_discriminator(self) -> BaseDiscriminator:
        """Build the networks for the generator's spaces."""

    def _stabilizers(self) -> Sequence[StabilizerSpec]:
        return self.settings.stabilizers or ()

    @property
    def _needs_log_probs(self) -> bool:
        return self.learner.discriminator.outputs_log_ratio

    def _load(self, demonstrations: Any, discriminator: BaseDiscriminator) -> tuple[Batch, str]:
        seen = {*discriminator.encoder.fields, *(["actions"] if discriminator.outputs_log_ratio else [])}
        loaded = demonstrations_for(self.generator, demonstrations, [name for name in OPTIONAL_FIELDS if name in seen])
        batch = loaded.to_batch(self.generator.device)
        space = self.generator.observation_space
        batch = replace(
            batch,
            observations=in_layout_of(space, batch.observations),
            next_observations=in_layout_of(space, batch.next_observations),
        )
        return batch, loaded.checksum

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        """Give the callback that trains the discriminator and computes rewards, followed by the other callbacks."""
        generator: Any = self.generator
        if isinstance(generator, OffPolicyAlgorithm):
            assert generator.replay_buffer is not None
            with replaying(generator, self._view(relabeled(generator.replay_buffer, self.price))):
                training = OffPolicyCallback(self.train, self.settings.batch_size, self._numpy_rng)
                yield CallbackList([training, *callbacks])
        else:
            recorder = TransitionRecorder(generator.get_env(), observed=lambda: last_observations(generator))
            own = OnPolicyCallback(self._train_on_rollout, recorder, self._values)
            try:
                with substituting([own, *callbacks], env=recorder) as callback:
                    yield callback
            finally:
                if self._values is not None:
                    self._values.end_update()

    def _view(self, relabeled: ReplayView) -> ReplayView:
        """Return the buffer that an off-policy generator samples from."""
        return relabeled

    # One round: the generator's callback calls one of these two, and is given rewards by ``price``.

    def _train_on_rollout(self, rollout: Batch, progress_remaining: float) -> Tensor:
        """Train the discriminator on a whole rollout, and return the reward of each of its transitions, ``(batch,)``."""
        if self._draws_all(rollout):
            rollout = self._with_log_probs(rollout)
        pool, sampler = self._pool(rollout), EpochSampler(len(rollout), self._rng)
        self.train((pool[sampler.draw(self.settings.batch_size)] for _ in itertools.count()), progress_remaining)
        return self.price(rollout)

    def train(self, fakes: Iterator[Batch | Encoded], progress_remaining: float) -> None:
        """Update the discriminator ``n_updates`` times, each time on one batch of ``fakes`` and as many demonstrations.

        The log gets the means over the round of what every update has, and the accuracies, gap and entropy of its last.

        Args:
            fakes: endless batches of ``batch_size`` distinct transitions of the generator.
            progress_remaining: falls from 1 to 0 over the whole of ``learn``.
        """
        n_updates = updates_due(self.n_updates, self._n_rounds)
        self._n_rounds += 1
        if n_updates:
            self.learner.set_learning_rate(rate_at(self.settings.learning_rate, progress_remaining))
            self._update(n_updates, fakes)

    def _update(self, n_updates: int, fakes: Iterator[Batch | Encoded]) -> None:
        demonstrations = self._pool(self._demonstrations)
        rounds = []
        for number, fake in zip(range(1, n_updates + 1), fakes):  # noqa: B905  # fakes are endless
            sides = demonstrations[self._sampler.draw(self.settings.batch_size)], fake
            learned = [self._as_learned(side) if isinstance(side, Batch) else side for side in sides]
            rounds.append(self.learner.update(*learned, measures=number == n_updates))
        self._log({key: torch.stack([metrics[key] for metrics in rounds if key in metrics]).mean() for key in rounds[-1]})

    def _pool(self, batch: Batch) -> Batch | Encoded:
        """Return the rows that a round draws from, encoded if that is cheaper for all of them than for the drawn ones.

        Images stay as they are until they are drawn, since encoded they take four times the room.
        """
        if not self._draws_all(batch):
            return batch
        batch = self._with_log_probs(batch)
        return batch if self.learner.discriminator.encoder.has_images else self.learner.encode(batch)

    def _draws_all(self, batch: Batch) -> bool:
        return len(batch) <= self.n_updates * self.settings.batch_size

    def price(self, batch: Batch) -> Tensor:
        """Return the current discriminator's reward of each transition, ``(batch,)``."""
        with torch.no_grad():
            rewards = self._reward_of(batch)
        if not math.isfinite(rewards.sum()):  # one number to look at: this runs at every gradient step
            raise TrainingDiverged(
                f"the reward {self.reward_form.name!r} is no longer finite after {self.learner.n_updates} updates of the "
                "discriminator; lower the learning rates of generator and discriminator"
            )
        return rewards

    def _reward_of(self, batch: Batch) -> Tensor:
        scorer = self.learner.scorer
        if self.reward_form.needs_log_prob(scorer):
            batch = self._with_log_probs(batch)
        return self.reward_form(scorer, self.learner.loss, scorer.encode(batch))

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
        values = dict(zip(metrics, torch.stack([*metrics.values()]).tolist(), strict=True))  # one wait for the device
        if not np.isfinite(values["loss"]):
            raise TrainingDiverged(
                f"the discriminator's loss is {values['loss']} after {self.learner.n_updates} updates; "
                "lower its learning rate, or add a stabilizer such as 'spectral-norm'"
            )
        for key, value in values.items():
            self.generator.logger.record(f"discriminator/{key}", value)

    def _told(self) -> dict[str, Any]:
        stabilizers = [stabilizer.settings()["name"] for stabilizer in self.learner.stabilizers]  # type: ignore[operator]
        return {"reward": self.reward_form.name, "loss": self.learner.loss.name, "stabilizers": stabilizers}

    # What is recovered and kept.

    def recovered_reward(self) -> RewardModel:
        """Return the reward as a function of the transition alone. Later training does not change it."""
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
            "sampler": self._sampler.state_dict(),
            "n_rounds": self._n_rounds,
            "rng": self._rng.get_state(),
            "numpy_rng": self._numpy_rng.bit_generator.state,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        if (state["values"] is None) != (self._values is None):
            raise ValueError("one of them has a normalized value head; give normalize_values as when it was saved")
        load_generator_state(self.generator, state["generator"])
        self.learner.load_state_dict(state["learner"])
        if self._values is not None:
            self._values.load_state_dict(state["values"])
        self._sampler.load_state_dict(state["sampler"])
        self._n_rounds = state["n_rounds"]
        self._rng.set_state(state["rng"].cpu())
        self._numpy_rng.bit_generator.state = state["numpy_rng"]
