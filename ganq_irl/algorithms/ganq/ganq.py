"""GAN Q-learning as a Stable-Baselines3 off-policy algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor
from torch.nn.functional import smooth_l1_loss
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganq_irl.algorithms.ganq.adversary import SAVED, descend, return_model_metrics
from ganq_irl.algorithms.ganq.exploration import check_exponent, ez_greedy, no_random_actions
from ganq_irl.algorithms.ganq.modes import Mode, mode_named
from ganq_irl.algorithms.ganq.policies import CnnPolicy, GANQPolicy, MlpPolicy, MultiInputPolicy
from ganq_irl.algorithms.ganq.value_learner import AdversarialValueLearner, Metrics, Sampled
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.generators.acceleration import imported, why_slow
from ganq_irl.generators.options import LinearSchedule
from ganq_irl.networks.return_models import LocationShapeModel, ReturnModel
from ganq_irl.networks.return_noise import NOISE
from ganq_irl.types import Observations

LEARNING_RATE, CRITIC_LEARNING_RATE = LinearSchedule(1e-3, 0.0), LinearSchedule(4e-3, 0.0)
"""Defaults: the critic's rate is four times the return model's, and both fall to 0."""

FAST_UPDATE = "ganq_irl.accelerated.ganq:FastUpdate"


class GANQ(AdversarialValueLearner, DQN):  # type: ignore[misc]  # SB3's DQN knows no max_grad_norm of None
    """GAN Q-learning for discrete actions (Doan, Mazoure & Lyle, 2018), in a variant that converges.

    A return model generates samples of the return, G(z | s, a). A critic, a discriminator like that of GAIL and AIRL,
    distinguishes them (fake) from samples of the Bellman target, Σ γ^k r_k + γ^n G_target(z | s', a*) (real). The return
    model only maximizes the critic's score. No temporal difference is minimized.

    ``docs/algorithms/gan_q.md`` describes what makes it converge, unlike the published algorithm, which is ``mode="paper"``;
    ``docs/benchmarks/gan_q_parts.md`` has the measurements.

    Everything else is SB3's DQN: exploration, target network, replay, callbacks, saving and loading, and the order of
    arguments. GAN-Q's own arguments are keywords.

    Args:
        policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy", or a class.
        env: as in SB3.
        learning_rate: learning rate of the return model, a number or a schedule.
        buffer_size: as in SB3. With a small buffer, early failures are forgotten.
        learning_starts: as in SB3.
        batch_size: as in SB3.
        tau: as in SB3's DQN.
        gamma: as in SB3.
        train_freq: as in SB3.
        gradient_steps: as in SB3.
        replay_buffer_class: as in SB3; by default one for ``n_steps``.
        replay_buffer_kwargs: as in SB3.
        optimize_memory_usage: as in SB3, only for ``n_steps=1``: n-step replay needs the final observations of episodes.
        n_steps: number of rewards in a Bellman target, or a schedule, rounded and at least 1. Many steps propagate rewards
            quickly; few depend less on the actions of earlier policies (Schwarzer et al., 2023, anneal the number). By
            default that of the mode, or 1 with ``optimize_memory_usage``.
        target_update_interval: as in SB3's DQN, in environment steps.
        exploration_fraction: as in SB3's DQN.
        exploration_initial_eps: as in SB3's DQN.
        exploration_final_eps: as in SB3's DQN.
        max_grad_norm: bound of the gradient norm of return model and critic; None for no bound.
        stats_window_size: as in SB3.
        tensorboard_log: as in SB3.
        policy_kwargs: keywords of ``GANQPolicy``.
        verbose: as in SB3.
        seed: as in SB3.
        device: as in SB3.
        critic_learning_rate: learning rate of the critic, a number or a schedule; by default four times the return model's.
        n_samples: return samples per transition of a batch.
        noise: how the samples' noise is drawn, a name in ``NOISE``: "normal" (independent), or "stratified" (one from each
            n-th of the normal distribution), for accurate distributions.
        double_q: choose target actions with the acting average instead of the target network, whose maximum is biased
            upwards: double Q-learning (van Hasselt, Guez & Silver, 2016, equation 4). Values then belong to a policy that
            lags behind, which is better on LunarLander and worse on CartPole.
        average_rate: rate of the exponential moving average of the return model that acts; with 1, the return model acts.
        exploration_zeta: exponent μ of the duration of random actions, P(n) ∝ n^-μ: εz-greedy exploration (Dabney et al.,
            2021), for goals that independent random steps do not reach. The paper uses 2. None is SB3's ε-greedy.
        loss: name in ``LOSSES``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``.
        critic_hidden_sizes: widths of the critic's hidden layers.
        critic_n_basis: number of the critic's units in x. Twice as many are half as wide, and resolve distributions better.
        td_weight: weight of a Huber loss on the mean, added to the adversarial loss; above 0, this is no longer pure GAN-Q.
        mode: "default" or "paper"; determines the settings that are None.

    Raises:
        ConfigurationError: a setting is invalid.

    Example:
        >>> model = GANQ("MlpPolicy", "CartPole-v1", learning_starts=32, device="cpu").learn(64)
        >>> model.return_distribution(demos[0].observations[0]).shape  # (n_actions, n_samples)
        (2, 32)
    """

    matrix_name = "gan-q"
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "CnnPolicy": CnnPolicy,
        "MultiInputPolicy": MultiInputPolicy,
    }
    policy: GANQPolicy
    q_net: ReturnModel
    q_net_target: ReturnModel
    q_net_average: ReturnModel

    def __init__(
        self,
        policy: str | type[GANQPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = LEARNING_RATE,
        buffer_size: int = 50_000,
        learning_starts: int = 1_000,
        batch_size: int = 64,
        tau: float = 1.0,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 32,
        gradient_steps: int = 32,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        optimize_memory_usage: bool = False,
        n_steps: int | Schedule | None = None,
        target_update_interval: int = 32,
        exploration_fraction: float = 0.16,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.04,
        max_grad_norm: float | None = 10.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
        *,
        critic_learning_rate: float | Schedule = CRITIC_LEARNING_RATE,
        n_samples: int | None = None,
        noise: str = "normal",
        double_q: bool = False,
        average_rate: float | None = None,
        exploration_zeta: float | None = None,
        loss: str = "wasserstein",
        stabilizers: Sequence[StabilizerSpec] | None = None,
        critic_hidden_sizes: Sequence[int] = (64, 64),
        critic_n_basis: int | None = None,
        td_weight: float = 0.0,
        mode: str = "default",
    ) -> None:
        defaults = mode_named(mode)
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
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            optimize_memory_usage=optimize_memory_usage,
            target_update_interval=target_update_interval,
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs={**defaults.policy_kwargs, **(policy_kwargs or {})},
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.mode = mode
        self.double_q = double_q
        self.critic_learning_rate = critic_learning_rate
        if n_steps is None:
            n_steps = 1 if optimize_memory_usage else defaults.n_steps
        self.n_bootstrap_steps = n_steps
        self.n_samples = defaults.n_samples if n_samples is None else n_samples
        self.noise = noise
        self.average_rate = defaults.average_rate if average_rate is None else average_rate
        self.loss = loss
        self.stabilizers = list(defaults.stabilizers if stabilizers is None else stabilizers)
        self.critic_hidden_sizes = tuple(critic_hidden_sizes)
        self.critic_n_basis = defaults.n_basis if critic_n_basis is None else critic_n_basis
        self.td_weight = td_weight
        self.max_grad_norm = max_grad_norm
        self.exploration_zeta = exploration_zeta
        self._under_way = no_random_actions(0)
        self._fast_update: Any = None
        self._check_settings()
        if _init_setup_model:
            self._setup_model()

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take ``gradient_steps`` steps of critic and return model, both on the same minibatch, the critic first."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self.learner.set_learning_rate(self._critic_rate(self._current_progress_remaining))
        self._update_n_steps()
        step = self._step if self.slow_reason else self._accelerated().step  # the same results, but faster
        for number in range(gradient_steps):
            metrics = step(self._sample(batch_size), measures=number == gradient_steps - 1)
        self._n_updates += gradient_steps
        self._log(*metrics)

    def _step(self, sampled: Sampled, measures: bool) -> tuple[Metrics, Metrics]:
        """Take a step of the critic, then of the return model; return the metrics of return model and critic.

        Doan, Mazoure & Lyle (2018), algorithm 1.
        """
        batch, rewards, discounts = sampled
        noise = self.draw_noise()
        with torch.no_grad():
            targets = rewards + discounts * self._next_samples(batch.next_observations, noise)
        means, samples = self.q_net.samples(batch.observations, batch.actions, noise)  # (batch, 1), (batch, n_samples)
        of_critic, loss = self.adversary.step(batch, targets, means, samples, measures=measures)
        if self.td_weight:
            loss = loss + self.td_weight * smooth_l1_loss(means, targets.mean(dim=1, keepdim=True))
        descend(loss, self._model_parameters, self.policy.optimizer, self.max_grad_norm)
        get_ema_multi_avg_fn(1 - self.average_rate)(self._average_parameters, self._model_parameters, None)
        return return_model_metrics(loss, means, samples) if measures else {}, of_critic

    def _next_samples(self, observations: Observations, noise: Tensor) -> Tensor:
        """Return samples of the return of the best action in each next state, ``(batch, n_samples)``."""
        if not self.double_q:
            return self.q_net_target.greedy_samples(observations, noise)
        assert isinstance(self.q_net_target, LocationShapeModel)
        return self.q_net_target.greedy_samples(observations, noise, self.q_net_average)

    def draw_noise(self) -> Tensor:
        """Draw the noise of a minibatch, ``(n_samples,)``."""
        return NOISE[self.noise](self.n_samples, self.learner.rng)

    def _sample(self, batch_size: int) -> Sampled:
        batch, rewards, discounts = super()._sample(batch_size)
        return replace(batch, actions=batch.actions.reshape(-1).long()), rewards, discounts

    def _accelerated(self) -> Any:
        if self._fast_update is None or not self._fast_update.matches(self):
            self._fast_update = imported(FAST_UPDATE)(self)
        self._fast_update.adopt()
        return self._fast_update

    @property
    def slow_reason(self) -> str | None:
        """Why updates use autograd, or None if they are accelerated, as with the default settings."""
        if type(self)._step is not GANQ._step:
            return f"{type(self).__name__} overrides _step"
        return why_slow(FAST_UPDATE, self)

    @property
    def _mode(self) -> Mode:
        return mode_named(self.mode)

    def _check_settings(self) -> None:
        super()._check_settings()
        if not 0 < self.average_rate <= 1:
            raise ConfigurationError(f"average_rate: given {self.average_rate}; expected a number in (0, 1]")
        check_exponent(self.exploration_zeta)
        if self.critic_n_basis is not None and self._mode.n_basis is None:
            raise ConfigurationError(
                f"critic_n_basis: given {self.critic_n_basis} with mode={self.mode!r}, which has no units in x; remove it, "
                "or use mode='default'"
            )
        if self.noise not in NOISE:
            raise ConfigurationError(f"unknown noise {self.noise!r}: {nearest(self.noise, NOISE)}")

    def _setup_model(self) -> None:
        self._choose_buffer()
        super()._setup_model()
        if self.double_q and not isinstance(self.q_net_target, LocationShapeModel):
            raise ConfigurationError(
                f"double_q: {type(self.q_net_target).__name__} has no action of a target to choose; use the generator "
                "'location-shape' or double_q=False"
            )
        self.adversary = self._new_adversary(self._mode, self.action_space)
        self.learner, self.residuals = self.adversary.learner, self.adversary.residuals

    def _create_aliases(self) -> None:
        super()._create_aliases()
        self.q_net_average = self.policy.q_net_average
        # Collecting these from the modules is as slow as a small forward pass.
        self._model_parameters = list(self.q_net.parameters())
        self._average_parameters = list(self.q_net_average.parameters())

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.exploration_zeta is None:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        if self._under_way.shape[1] != n_envs:
            self._under_way = no_random_actions(n_envs)
        assert self._last_obs is not None
        assert isinstance(self.action_space, spaces.Discrete)
        greedy, _ = self.policy.predict(self._last_obs, deterministic=True)
        rate = 1.0 if self.num_timesteps < learning_starts else self.exploration_rate
        actions = ez_greedy(greedy, self._under_way, rate, self.exploration_zeta, self.action_space)
        return actions, actions

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = 32) -> np.ndarray:
        """Return samples of the return of every action; see ``GANQPolicy.return_distribution``."""
        return self.policy.return_distribution(observation, n)

    def _excluded_save_params(self) -> list[str]:
        return [
            *super()._excluded_save_params(),
            "q_net_average",
            "_model_parameters",
            "_average_parameters",
            "_fast_update",
            "adversary",
            "learner",
            "residuals",
        ]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer", *(f"adversary.{name}" for name in SAVED)], []
