"""GAN Q-learning for continuous actions, as a Stable-Baselines3 off-policy algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import TD3
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import polyak_update
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from ganq_irl.algorithms.ganq.adversary import SAVED, ReturnAdversaries, descend, return_model_metrics
from ganq_irl.algorithms.ganq.continuous_policies import (
    ContinuousCnnPolicy,
    ContinuousGANQPolicy,
    ContinuousMultiInputPolicy,
)
from ganq_irl.algorithms.ganq.modes import MODES
from ganq_irl.algorithms.ganq.value_learner import AdversarialValueLearner, Metrics, Sampled
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.networks.twin_return_models import TwinReturnModels, samples_of_smallest_mean
from ganq_irl.types import Observations


class ContinuousGANQ(AdversarialValueLearner, TD3):
    """GAN Q-learning for continuous actions: TD3 with adversaries instead of the critics' regression.

    Two return models take the action as input and generate samples of the return, G_i(z | s, a). Each has its own critic, a
    discriminator like that of GAIL and AIRL, which distinguishes them from samples of the Bellman target,
    Σ γ^k r_k + γ^n G_j(z | s', a'). Here a' is the target actor's smoothed action and j, row by row, the target twin with
    the smaller mean. The return models maximize their critics' scores, and the actor maximizes the first one's mean. No
    temporal difference is minimized.

    Actor, targets, smoothing, delay, replay, callbacks, saving and loading are those of SB3's TD3 (Fujimoto, van Hoof and
    Meger, 2018, algorithm 1). Critics see actions scaled to [-1, 1], as in replay.

    Args:
        policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy", or a class.
        env: as in SB3.
        learning_rate: learning rate of return models and actor, a number or a schedule.
        buffer_size: as in SB3.
        learning_starts: as in SB3.
        batch_size: as in SB3.
        tau: as in SB3.
        gamma: as in SB3.
        train_freq: as in SB3.
        gradient_steps: as in SB3.
        action_noise: as in SB3.
        replay_buffer_class: as in SB3; by default one for ``n_steps``.
        replay_buffer_kwargs: as in SB3.
        optimize_memory_usage: as in SB3, only for ``n_steps=1``.
        n_steps: number of rewards in a Bellman target, or a schedule, rounded.
        policy_delay: as in SB3.
        target_policy_noise: as in SB3.
        target_noise_clip: as in SB3.
        stats_window_size: as in SB3.
        tensorboard_log: as in SB3.
        policy_kwargs: keywords of ``ContinuousGANQPolicy``.
        verbose: as in SB3.
        seed: as in SB3.
        device: as in SB3.
        critic_learning_rate: learning rate of the critics, a number or a schedule.
        n_samples: return samples per transition of a batch.
        loss: name in ``LOSSES``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``; by default those of ``GANQ``.
        critic_hidden_sizes: widths of the critics' hidden layers.
        critic_n_basis: number of the critics' units in x. Twice as many are half as wide, and resolve distributions better.
        td_weight: weight of a Huber loss on the means, added to the adversarial loss; above 0, this is no longer pure GAN-Q.
        max_grad_norm: bound of the gradient norm of the return models and of each critic; None for no bound.

    Raises:
        ConfigurationError: a setting is invalid.
        IncompatibleSpaces: the environment's actions are not continuous.

    Example:
        >>> model = ContinuousGANQ("MlpPolicy", "Pendulum-v1", learning_starts=32, device="cpu").learn(40)
        >>> observation = np.zeros(3, dtype=np.float32)
        >>> model.predict(observation, deterministic=True)[0].shape
        (1,)
    """

    matrix_name = "gan-q-continuous"
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": ContinuousGANQPolicy,
        "CnnPolicy": ContinuousCnnPolicy,
        "MultiInputPolicy": ContinuousMultiInputPolicy,
    }
    policy: ContinuousGANQPolicy
    critic: TwinReturnModels
    critic_target: TwinReturnModels

    def __init__(
        self,
        policy: str | type[ContinuousGANQPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-3,
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
        optimize_memory_usage: bool = False,
        n_steps: int | Schedule = 1,
        policy_delay: int = 2,
        target_policy_noise: float = 0.2,
        target_noise_clip: float = 0.5,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
        *,
        critic_learning_rate: float | Schedule = 4e-3,
        n_samples: int = 4,
        loss: str = "wasserstein",
        stabilizers: Sequence[StabilizerSpec] = MODES["default"].stabilizers,
        critic_hidden_sizes: Sequence[int] = (64, 64),
        critic_n_basis: int | None = MODES["default"].n_basis,
        td_weight: float = 0.0,
        max_grad_norm: float | None = 10.0,
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
            optimize_memory_usage=optimize_memory_usage,
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
        self.n_bootstrap_steps = n_steps
        self.n_samples = n_samples
        self.loss = loss
        self.stabilizers = list(stabilizers)
        self.critic_hidden_sizes = tuple(critic_hidden_sizes)
        self.critic_n_basis = critic_n_basis
        self.td_weight = td_weight
        self.max_grad_norm = max_grad_norm
        self._check_settings()
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._choose_buffer()
        super()._setup_model()
        as_stored = spaces.Box(-1.0, 1.0, (get_action_dim(self.action_space),))
        self.adversaries = ReturnAdversaries(
            self._new_adversary(MODES["default"], as_stored) for _ in range(self.return_models.n_critics)
        )

    def _create_aliases(self) -> None:
        super()._create_aliases()
        # SB3's TD3 calls the return models critics; here, critics are the adversaries.
        self.return_models, self.return_models_target = self.critic, self.critic_target
        # Collecting these from the modules is as slow as a small forward pass.
        self._model_parameters = list(self.return_models.parameters())

    @property
    def _noise_generator(self) -> torch.Generator:
        return self.adversaries[0].learner.rng

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take ``gradient_steps`` steps of critics and return models, and one of the actor every ``policy_delay`` steps."""
        self.policy.set_training_mode(True)
        self._update_learning_rate([self.actor.optimizer, self.return_models.optimizer])
        self._update_n_steps()
        for adversary in self.adversaries:
            adversary.learner.set_learning_rate(self._critic_rate(self._current_progress_remaining))
        of_actor: Metrics = {}
        for step in range(gradient_steps):
            self._n_updates += 1
            sampled = self._sample(batch_size)
            of_models, of_critic = self._step_return_models(sampled, measures=step == gradient_steps - 1)
            if self._n_updates % self.policy_delay == 0:
                of_actor = {"actor_loss": self._step_actor(sampled[0].observations)}
        self._log(of_models | of_actor, of_critic)

    def _step_return_models(self, sampled: Sampled, measures: bool) -> tuple[Metrics, Metrics]:
        """Take a step of the critics, then of the return models; return metrics of the latter and of the first critic."""
        batch, rewards, discounts = sampled
        noise = torch.randn(self.n_samples, generator=self._noise_generator, device=self.device)
        targets = rewards + discounts * self._next_samples(batch.next_observations, noise)
        means, samples = self.return_models.samples(batch.observations, batch.actions, noise)
        steps = [
            adversary.step(batch, targets, *own, measures=measures)
            for adversary, *own in zip(self.adversaries, means, samples, strict=True)
        ]
        loss = torch.stack([loss for _, loss in steps]).sum()
        if self.td_weight:
            expected = targets.mean(dim=1, keepdim=True).expand_as(means)
            loss = loss + self.td_weight * len(means) * smooth_l1_loss(means, expected)
        descend(loss, self._model_parameters, self.return_models.optimizer, self.max_grad_norm)
        return return_model_metrics(loss, means, samples) if measures else {}, steps[0][0]

    @torch.no_grad()
    def _next_samples(self, next_observations: Observations, noise: Tensor) -> Tensor:
        """Return samples of the return of the target actor's smoothed action, ``(batch, n_samples)``."""
        actions = self.actor_target(next_observations)
        smoothing = torch.randn(actions.shape, generator=self._noise_generator, device=self.device)
        smoothing = (self.target_policy_noise * smoothing).clamp(-self.target_noise_clip, self.target_noise_clip)
        actions = (actions + smoothing).clamp(-1, 1)
        return samples_of_smallest_mean(*self.return_models_target.samples(next_observations, actions, noise))

    def _step_actor(self, observations: Any) -> Tensor:
        """Take a step of the actor towards a higher mean of the first return model, then of all targets; return its loss."""
        loss = -self.return_models.q1_forward(observations, self.actor(observations)).mean()
        self.actor.optimizer.zero_grad()
        loss.backward()
        self.actor.optimizer.step()
        polyak_update(self._model_parameters, self.return_models_target.parameters(), self.tau)
        polyak_update(self.actor.parameters(), self.actor_target.parameters(), self.tau)
        polyak_update(self.critic_batch_norm_stats, self.critic_batch_norm_stats_target, 1.0)
        polyak_update(self.actor_batch_norm_stats, self.actor_batch_norm_stats_target, 1.0)
        return loss.detach()

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = 32) -> np.ndarray:
        """Return samples of the return of the actor's action; see ``ContinuousGANQPolicy.return_distribution``."""
        return self.policy.return_distribution(observation, n)

    def _excluded_save_params(self) -> list[str]:
        return [
            *super()._excluded_save_params(),
            "return_models",
            "return_models_target",
            "_model_parameters",
            "adversaries",
        ]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, variables = super()._get_torch_save_params()
        return [*names, *(f"adversaries.{name}" for name in SAVED)], variables
