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
from ganq_irl.algorithms.ganq.exploration import check_exponent, ez_greedy, nothing_under_way
from ganq_irl.algorithms.ganq.modes import Mode, mode_named
from ganq_irl.algorithms.ganq.policies import CnnPolicy, GANQPolicy, MlpPolicy, MultiInputPolicy
from ganq_irl.algorithms.ganq.value_learner import AdversarialValueLearner, Metrics, Sampled
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.generators.acceleration import imported, why_slow
from ganq_irl.generators.schedules import LinearSchedule
from ganq_irl.networks.return_models import LocationShapeModel, ReturnModel
from ganq_irl.networks.return_noise import NOISE
from ganq_irl.types import Observations

LEARNING_RATE, CRITIC_LEARNING_RATE = LinearSchedule(1e-3, 0.0), LinearSchedule(4e-3, 0.0)
"""Defaults: the critic four times as fast as the return model, both falling to 0."""

FAST_UPDATE = "ganq_irl.accelerated.ganq:FastUpdate"


class GANQ(AdversarialValueLearner, DQN):  # type: ignore[misc]  # SB3's DQN knows no max_grad_norm of None
    """GAN Q-learning for discrete actions (Doan, Mazoure & Lyle, 2018), in a form that converges.

    A return model draws samples of the return, G(z | s, a). A critic, the discriminator that GAIL and AIRL use, tells them
    from samples of the Bellman target, Σ γ^k r_k + γ^n G_target(z | s', a*), which are the real ones. The return model
    ascends the critic's score and nothing else: no temporal difference is minimized.

    What makes it converge, beside the published algorithm, is described and measured in ``docs/benchmarks/gan_q.md``.
    ``mode="paper"`` is the published algorithm, which does not.

    Everything else is SB3's DQN: exploration, target network, replay, callbacks, saving and loading, and the order of the
    arguments; GAN-Q's own follow by keyword.

    Args:
        policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy", or a class.
        env: as in SB3.
        learning_rate: the return model's, a number or a schedule.
        buffer_size: as in SB3. A buffer that forgets early episodes forgets what failing looks like.
        learning_starts: as in SB3.
        batch_size: as in SB3.
        tau: as in SB3's DQN.
        gamma: as in SB3.
        train_freq: as in SB3.
        gradient_steps: as in SB3.
        replay_buffer_class: as in SB3; by default one for ``n_steps``.
        replay_buffer_kwargs: as in SB3.
        optimize_memory_usage: as in SB3, for ``n_steps=1`` alone: n-step replay needs the observations at episodes' ends.
        n_steps: steps of reward in a Bellman target, or a schedule of them, rounded and at least 1: many bring news of the
            goal fast, few do not hold on to what earlier policies did in between (so Schwarzer et al., 2023, anneal the
            update horizon). By default the mode's, or 1 with ``optimize_memory_usage``.
        target_update_interval: as in SB3's DQN, in environment steps.
        exploration_fraction: as in SB3's DQN.
        exploration_initial_eps: as in SB3's DQN.
        exploration_final_eps: as in SB3's DQN.
        max_grad_norm: bound on either gradient's norm; None for no bound.
        stats_window_size: as in SB3.
        tensorboard_log: as in SB3.
        policy_kwargs: of ``GANQPolicy``.
        verbose: as in SB3.
        seed: as in SB3.
        device: as in SB3.
        critic_learning_rate: the critic's, a number or a schedule; four times the return model's by default.
        n_samples: return samples of each transition in a batch.
        noise: how their noise is drawn, a name in ``NOISE``: "normal", independent, or "stratified", one from each n-th of
            the normal distribution, for laws that are to be met closely.
        double_q: let the acting average choose the action of a target instead of the target network itself, the highest of
            whose values is, on average, one whose error is positive: double Q-learning (van Hasselt, Guez & Silver, 2016,
            equation 4). Values are then those of a policy that lags behind: better on LunarLander, worse on CartPole.
        average_rate: of the exponential moving average of the return model that acts; 1 acts with the return model itself.
        exploration_zeta: exponent μ of the durations of random actions, P(n) ∝ n^-μ: εz-greedy exploration (Dabney et al.,
            2021) for a goal that single random steps do not find; 2 is theirs. None: SB3's ε-greedy.
        loss: name in ``LOSSES``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``.
        critic_hidden_sizes: widths of the critic.
        critic_n_basis: its units in x: twice as many are half as wide and tell finer shapes of a law apart.
        td_weight: weight of a Huber loss on the mean beside the adversarial one; above 0 it is a hybrid, no longer GAN-Q.
        mode: "default" or "paper", which sets what is left at None.

    Raises:
        ConfigurationError: a setting that cannot be used.
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
        self._under_way = nothing_under_way(0)
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
        step = self._step if self.slow_reason else self._accelerated().step  # the same numbers, faster
        for number in range(gradient_steps):
            metrics = step(self._sample(batch_size), measures=number == gradient_steps - 1)
        self._n_updates += gradient_steps
        self._log(*metrics)

    def _step(self, sampled: Sampled, measures: bool) -> tuple[Metrics, Metrics]:
        """Take one step of the critic, then one of the return model; return the metrics of return model and critic.

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
        """Samples of the return at the best action of each next state, ``(batch, n_samples)``."""
        if not self.double_q:
            return self.q_net_target.greedy_samples(observations, noise)
        assert isinstance(self.q_net_target, LocationShapeModel)
        return self.q_net_target.greedy_samples(observations, noise, self.q_net_average)

    def draw_noise(self) -> Tensor:
        """Draw the noise of one minibatch, ``(n_samples,)``."""
        return NOISE[self.noise](self.n_samples, self.learner.rng)

    def _sample(self, batch_size: int) -> Sampled:
        batch, rewards, discounts = super()._sample(batch_size)
        return replace(batch, actions=batch.actions.reshape(-1).long()), rewards, discounts

    def _accelerated(self) -> Any:
        if self._fast_update is None or not self._fast_update.is_of(self):
            self._fast_update = imported(FAST_UPDATE)(self)
        self._fast_update.adopt()
        return self._fast_update

    @property
    def slow_reason(self) -> str | None:
        """Why updates go through autograd; None if they are accelerated, as they are with the default settings."""
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
                f"critic_n_basis: given {self.critic_n_basis} with mode={self.mode!r}, which has no units in x; leave "
                "it out, or use mode='default'"
            )
        if self.noise not in NOISE:
            raise ConfigurationError(f"unknown noise {self.noise!r}: {nearest(self.noise, NOISE)}")

    def _setup_model(self) -> None:
        self._choose_buffer()
        super()._setup_model()
        if self.double_q and not isinstance(self.q_net_target, LocationShapeModel):
            raise ConfigurationError(
                f"double_q: {type(self.q_net_target).__name__} leaves no action of a target to choose; use the generator "
                "'location-shape' or double_q=False"
            )
        self.adversary = self._new_adversary(self._mode, self.action_space)
        self.learner, self.residuals = self.adversary.learner, self.adversary.residuals

    def _create_aliases(self) -> None:
        super()._create_aliases()
        self.q_net_average = self.policy.q_net_average
        # Walking the modules for these costs as much as a small forward.
        self._model_parameters = list(self.q_net.parameters())
        self._average_parameters = list(self.q_net_average.parameters())

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.exploration_zeta is None:
            return super()._sample_action(learning_starts, action_noise, n_envs)
        if self._under_way.shape[1] != n_envs:
            self._under_way = nothing_under_way(n_envs)
        assert self._last_obs is not None
        assert isinstance(self.action_space, spaces.Discrete)
        greedy, _ = self.policy.predict(self._last_obs, deterministic=True)
        rate = 1.0 if self.num_timesteps < learning_starts else self.exploration_rate
        actions = ez_greedy(greedy, self._under_way, rate, self.exploration_zeta, self.action_space)
        return actions, actions

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = 32) -> np.ndarray:
        """Samples of the return of every action; see ``GANQPolicy.return_distribution``."""
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
