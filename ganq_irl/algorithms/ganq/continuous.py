"""GAN Q-learning for continuous actions, as a Stable-Baselines3 off-policy algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import TD3
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import polyak_update
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from ganq_irl.algorithms.ganq.adversary import ReturnAdversaries, ReturnAdversary, descend
from ganq_irl.algorithms.ganq.continuous_policies import (
    CnnPolicy,
    ContinuousGANQPolicy,
    MlpPolicy,
    MultiInputPolicy,
    ReturnGenerators,
    samples_of_smallest_mean,
)
from ganq_irl.algorithms.ganq.modes import mode_named
from ganq_irl.discriminator import DiscriminatorLearner
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, TrainingDiverged
from ganq_irl.generators.n_step import replay_buffer_for
from ganq_irl.types import Batch


class ContinuousGANQ(TD3):
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "CnnPolicy": CnnPolicy,
        "MultiInputPolicy": MultiInputPolicy,
    }
    policy: ContinuousGANQPolicy
    critic: ReturnGenerators
    critic_target: ReturnGenerators

    def __init__(
        self,
        policy: str | type[ContinuousGANQPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-3,
        critic_learning_rate: float | Schedule = 4e-3,
        buffer_size: int = 200_000,
        learning_starts: int = 1_000,
        batch_size: int = 100,
        tau: float = 0.005,
        gamma: float = 0.98,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        action_noise: ActionNoise | None = None,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        n_steps: int = 1,
        n_samples: int = 4,
        policy_delay: int = 2,
        target_policy_noise: float = 0.2,
        target_noise_clip: float = 0.5,
        loss: str = "wasserstein",
        stabilizers: Sequence[StabilizerSpec] = ({"name": "zero-centered-gradient-penalty", "weight": 0.5},),
        critic_hidden_sizes: Sequence[int] = (64, 64),
        td_weight: float = 0.0,
        max_grad_norm: float | None = 10.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            action_noise=action_noise,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            policy_delay=policy_delay,
            target_policy_noise=target_policy_noise,
            target_noise_clip=target_noise_clip,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.critic_learning_rate = critic_learning_rate
        self.n_steps = n_steps
        self.n_samples = n_samples
        self.loss = loss
        self.stabilizers = list(stabilizers)
        self.critic_hidden_sizes = tuple(critic_hidden_sizes)
        self.td_weight = td_weight
        self.max_grad_norm = max_grad_norm
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        if self.replay_buffer_class is None:
            self.replay_buffer_class, settings = replay_buffer_for(self.observation_space, self.n_steps, self.gamma)
            self.replay_buffer_kwargs = {**settings, **(self.replay_buffer_kwargs or {})}
        super()._setup_model()
        self.adversaries = ReturnAdversaries(ReturnAdversary(self._new_learner()) for _ in self.critic.q_networks)

    def _new_learner(self) -> DiscriminatorLearner:
        as_stored = spaces.Box(-1.0, 1.0, (get_action_dim(self.action_space),))  # what the actor says and replay keeps
        critic = mode_named("default").build_critic(
            self.observation_space, as_stored, self.critic_hidden_sizes, self.n_samples
        )
        return DiscriminatorLearner(
            critic.to(self.device),
            loss=self.loss,
            stabilizers=self.stabilizers,
            learning_rate=self._critic_rate(1.0),
            betas=(0.0, 0.999),
            max_grad_norm=self.max_grad_norm,
            seed=int(torch.randint(2**31, ())),  # drawn from what SB3 has just seeded
        )

    def _critic_rate(self, progress_remaining: float) -> float:
        rate = self.critic_learning_rate
        return float(rate(progress_remaining)) if callable(rate) else float(rate)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.critic.optimizer])
        for adversary in self.adversaries:
            adversary.learner.set_learning_rate(self._critic_rate(self._current_progress_remaining))
        for step in range(gradient_steps):
            self._n_updates += 1
            batch, rewards, discounts = self._sample(batch_size)
            metrics = self._step_generators(batch, rewards, discounts, measures=step == gradient_steps - 1)
            if self._n_updates % self.policy_delay == 0:
                self._step_actor(batch)

    def _sample(self, batch_size: int) -> tuple[Batch, Tensor, Tensor]:
        data: Any = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
        discounts = getattr(data, "discounts", None)
        discounts = (self.gamma if discounts is None else discounts) * (1 - data.dones)
        batch = Batch(data.observations, data.actions, data.next_observations, data.dones.reshape(-1))
        return batch, data.rewards, discounts

    def _step_generators(self, batch: Batch, rewards: Tensor, discounts: Tensor, measures: bool) -> dict[str, Tensor]:
        generator = self.adversaries[0].learner.generator
        noise = torch.randn(self.n_samples, generator=generator, device=self.device)
        targets = rewards + discounts * self._next_samples(batch.next_observations, noise)
        means, samples = self.critic.samples(batch.observations, batch.actions, noise)
        outcomes = [
            adversary.step(batch, targets, mean, sample, measures=measures)
            for adversary, mean, sample in zip(self.adversaries, means, samples, strict=True)
        ]
        loss = torch.stack([loss for _, loss in outcomes]).sum()
        if self.td_weight:
            loss = loss + self.td_weight * smooth_l1_loss(means, targets.mean(dim=1, keepdim=True).expand_as(means))
        descend(loss, self.critic.parameters(), self.critic.optimizer, self.max_grad_norm)
        return outcomes[0][0] | {"value": means.detach().mean(), "spread": (samples - means).detach().square().mean().sqrt()}

    @torch.no_grad()
    def _next_samples(self, next_observations, noise: Tensor) -> Tensor:
        actions = self.actor_target(next_observations)
        generator = self.adversaries[0].learner.generator
        smoothing = torch.randn(actions.shape, generator=generator, device=self.device) * self.target_policy_noise
        actions = (actions + smoothing.clamp(-self.target_noise_clip, self.target_noise_clip)).clamp(-1, 1)
        return samples_of_smallest_mean(*self.critic_target.samples(next_observations, actions, noise))

    def _step_actor(self, batch: Batch) -> None:
        loss = -self.critic.q1_forward(batch.observations, self.actor(batch.observations)).mean()
        self.actor.optimizer.zero_grad()
        loss.backward()
        self.actor.optimizer.step()
        polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
        polyak_update(self.actor.parameters(), self.actor_target.parameters(), self.tau)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "adversaries"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, variables = super()._get_torch_save_params()
        return [*names, "adversaries"], variables
