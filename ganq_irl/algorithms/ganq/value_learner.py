"""Base of the GAN-Q algorithms: what they add to SB3's value learners, for all action spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from ganq_irl.algorithms.ganq.adversary import ReturnAdversary
from ganq_irl.algorithms.ganq.modes import Mode
from ganq_irl.algorithms.settings import as_callbacks
from ganq_irl.discriminator import DiscriminatorLearner
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.generators.callbacks import FiniteObservations
from ganq_irl.generators.factory import check_policy_reads
from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer, replay_buffer_for
from ganq_irl.generators.off_policy.replay import stored_in
from ganq_irl.space_matrix import check_trains
from ganq_irl.types import Batch

Sampled = tuple[Batch, Tensor, Tensor]
"""Transitions; their n-step rewards, ``(batch, 1)``; the discount of the following value, 0 after a termination."""

Metrics = dict[str, Tensor]


class AdversarialValueLearner(OffPolicyAlgorithm):
    """Mixin for replay, adversary, update frequency and logging. The algorithm's constructor sets the attributes."""

    matrix_name: ClassVar[str]
    """Name in ``ganq_irl.space_matrix``."""
    critic_learning_rate: float | Schedule
    # Not called ``n_steps``, which would make SB3 create a buffer of its own, or warn that it cannot.
    n_bootstrap_steps: int | Schedule
    n_samples: int
    loss: str
    stabilizers: list[StabilizerSpec]
    critic_hidden_sizes: Sequence[int]
    critic_n_basis: int | None
    td_weight: float
    max_grad_norm: float | None
    replay_buffer_class: type[ReplayBuffer] | None

    @classmethod
    def _wrap_env(cls, env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        wrapped = super()._wrap_env(env, verbose, monitor_wrapper)
        check_trains(cls.matrix_name, wrapped.observation_space, wrapped.action_space)
        return wrapped

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train. The arguments are those of SB3's ``learn``.

        Raises:
            EnvironmentFailed: an observation is not finite.
            TrainingDiverged: a loss is no longer finite.
        """
        name = type(self).__name__ if tb_log_name is None else tb_log_name
        callbacks = [FiniteObservations(), *as_callbacks(callback)]
        return super().learn(total_timesteps, callbacks, log_interval, name, reset_num_timesteps, progress_bar)

    def _check_settings(self) -> None:
        as_given = not self.policy_kwargs.get("normalize_images", True)
        observed = getattr(self, "observation_space", None)  # a model that is being loaded has none yet
        if observed and is_image_space(observed, normalized_image=as_given):  # for others SB3 has an assertion of its own
            check_policy_reads(self.policy_class, self.policy_kwargs, observed)
        if self.n_samples < 1:
            raise ConfigurationError(f"n_samples: given {self.n_samples}; expected at least 1")
        if self.td_weight < 0:
            raise ConfigurationError(f"td_weight: given {self.td_weight}; expected 0 or more")

    def _choose_buffer(self) -> None:
        if self.replay_buffer_class is None:
            first = self._n_steps_at(1.0)
            self.replay_buffer_class, settings = replay_buffer_for(self.observation_space, first, self.gamma)
            self.replay_buffer_kwargs = {**settings, **(self.replay_buffer_kwargs or {})}
        if callable(self.n_bootstrap_steps) and not issubclass(self.replay_buffer_class, NStepReplayBuffer):
            raise ConfigurationError(
                f"n_steps: a schedule needs n-step replay, but the replay buffer is {self.replay_buffer_class.__name__}; "
                "start the schedule above 1, and use the default replay_buffer_class"
            )

    def _n_steps_at(self, progress_remaining: float) -> int:
        n_steps = self.n_bootstrap_steps
        return round(n_steps(progress_remaining)) if callable(n_steps) else n_steps

    def _update_n_steps(self) -> None:
        """Set the replay buffer's number of steps from the schedule."""
        if callable(self.n_bootstrap_steps):
            stored_in(self.replay_buffer).n_steps = max(1, self._n_steps_at(self._current_progress_remaining))

    def _new_adversary(self, mode: Mode, action_space: spaces.Space) -> ReturnAdversary:
        critic = mode.build_critic(
            self.observation_space, action_space, self.critic_hidden_sizes, self.n_samples, self.critic_n_basis
        )
        learner = DiscriminatorLearner(
            critic.to(self.device),
            loss=self.loss,
            stabilizers=self.stabilizers,
            learning_rate=self._critic_rate(1.0),
            betas=(0.0, 0.999),
            max_grad_norm=self.max_grad_norm,
            seed=int(torch.randint(2**31, ())),  # from the generator that SB3 has just seeded
        )
        return ReturnAdversary(learner, centers=mode.centers)

    def _critic_rate(self, progress_remaining: float) -> float:
        rate = self.critic_learning_rate
        return float(rate(progress_remaining)) if callable(rate) else float(rate)

    def _sample(self, batch_size: int) -> Sampled:
        assert self.replay_buffer is not None
        data: Any = self.replay_buffer.sample(batch_size, env=self.get_vec_normalize_env())
        discounts = getattr(data, "discounts", None)  # only in n-step samples
        discounts = (self.gamma if discounts is None else discounts) * (1 - data.dones)
        batch = Batch(data.observations, data.actions, data.next_observations, data.dones.reshape(-1))
        return batch, data.rewards, discounts

    def _log(self, of_model: Metrics, of_critic: Metrics) -> None:
        model, critic = ({key: float(value) for key, value in side.items()} for side in (of_model, of_critic))
        if not np.isfinite([*model.values(), *critic.values()]).all():
            raise TrainingDiverged(
                f"GAN-Q's losses are no longer finite after {self._n_updates} updates: {model | critic}; "
                "lower learning_rate and critic_learning_rate, or leave loss and stabilizers at their defaults"
            )
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", critic["loss"])
        for key, value in model.items():
            self.logger.record(f"train/{key}", value)
        for key, value in critic.items():
            self.logger.record(f"critic/{key}", value)
