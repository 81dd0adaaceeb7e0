"""GAN Q-learning as a Stable-Baselines3 off-policy algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from torch import Tensor
from torch.nn.functional import smooth_l1_loss
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganq_irl.algorithms.ganq.modes import Mode, mode_named
from ganq_irl.algorithms.ganq.policies import CnnPolicy, GANQPolicy, MlpPolicy, MultiInputPolicy
from ganq_irl.algorithms.ganq.residuals import ResidualScale
from ganq_irl.algorithms.ganq.return_generators import ReturnGenerator
from ganq_irl.discriminator import DiscriminatorLearner
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.generators.n_step import replay_buffer_for
from ganq_irl.types import Batch


class GANQ(DQN):
    """GAN Q-learning for discrete actions (Doan, Mazoure & Lyle, 2018), in a form that converges.

    A generator makes samples of the return, G(z | s, a); a critic, the discriminator that GAIL and AIRL use, tells them from
    samples of the Bellman target, Σ γ^k r_k + γ^n G_target(z | s', a*), which are the real ones. The generator climbs the
    critic's score: nothing else teaches it, no temporal difference is minimised.

    What makes it converge, beside the published algorithm, is described and measured in ``docs/gan-q.md``.
    ``mode="paper"`` is the published algorithm, which does not.

    Everything else is SB3's DQN: exploration, target network, replay, callbacks, saving and loading.

    Args:
        policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy", or a class.
        env: as in SB3.
        learning_rate: the generator's, a number or a schedule.
        critic_learning_rate: the critic's, a number or a schedule; four times the generator's pace by default.
        buffer_size: as in SB3. A buffer that forgets early episodes forgets what failing looks like.
        learning_starts: as in SB3.
        batch_size: as in SB3.
        tau: as in SB3's DQN.
        gamma: as in SB3.
        train_freq: as in SB3.
        gradient_steps: as in SB3.
        replay_buffer_class: as in SB3; by default one for ``n_steps``.
        replay_buffer_kwargs: as in SB3.
        n_steps: steps of reward in a Bellman target.
        n_samples: return samples of each transition in a batch.
        target_update_interval: as in SB3's DQN, in environment steps.
        average_rate: of the exponential moving average of the generator that acts; 1 acts with the generator itself.
        exploration_fraction: as in SB3's DQN.
        exploration_initial_eps: as in SB3's DQN.
        exploration_final_eps: as in SB3's DQN.
        loss: name in ``LOSSES``.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``.
        critic_hidden_sizes: widths of the critic.
        td_weight: weight of a Huber loss on the mean beside the adversarial one; above 0 it is a hybrid, no longer GAN-Q.
        max_grad_norm: bound on either gradient's norm; None for no bound.
        mode: "default" or "paper", which sets what is left at None.
        stats_window_size: as in SB3.
        tensorboard_log: as in SB3.
        policy_kwargs: of ``GANQPolicy``.
        verbose: as in SB3.
        seed: as in SB3.
        device: as in SB3.

    Raises:
        ConfigurationError: a setting that cannot be used.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "CnnPolicy": CnnPolicy,
        "MultiInputPolicy": MultiInputPolicy,
    }
    policy: GANQPolicy
    q_net: ReturnGenerator
    q_net_target: ReturnGenerator
    q_net_average: ReturnGenerator
    learner: DiscriminatorLearner

    def __init__(
        self,
        policy: str | type[GANQPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-3,
        critic_learning_rate: float | Schedule = 4e-3,
        buffer_size: int = 50_000,
        learning_starts: int = 1_000,
        batch_size: int = 64,
        tau: float = 1.0,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 32,
        gradient_steps: int = 32,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        n_steps: int | None = None,
        n_samples: int | None = None,
        target_update_interval: int = 32,
        average_rate: float | None = None,
        exploration_fraction: float = 0.16,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.04,
        loss: str = "wasserstein",
        stabilizers: Sequence[StabilizerSpec] | None = None,
        critic_hidden_sizes: Sequence[int] = (64, 64),
        td_weight: float = 0.0,
        max_grad_norm: float | None = 10.0,
        mode: str = "default",
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
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
        self.critic_learning_rate = critic_learning_rate
        # Not ``self.n_steps``: that one would make SB3 set up a buffer of its own, or warn that it cannot.
        self.n_bootstrap_steps = defaults.n_steps if n_steps is None else n_steps
        self.n_samples = defaults.n_samples if n_samples is None else n_samples
        self.average_rate = defaults.average_rate if average_rate is None else average_rate
        self.loss = loss
        self.stabilizers = list(defaults.stabilizers if stabilizers is None else stabilizers)
        self.critic_hidden_sizes = tuple(critic_hidden_sizes)
        self.td_weight = td_weight
        self.max_grad_norm = max_grad_norm  # type: ignore[assignment]  # SB3's DQN has no None
        _check_settings(self)
        if _init_setup_model:
            self._setup_model()

    @property
    def _mode(self) -> Mode:
        return mode_named(self.mode)

    def _setup_model(self) -> None:
        self._choose_buffer()
        super()._setup_model()
        self.residuals = ResidualScale().to(self.device)
        self.learner = DiscriminatorLearner(
            self._mode.build_critic(self.observation_space, self.action_space, self.critic_hidden_sizes, self.n_samples).to(
                self.device
            ),
            loss=self.loss,
            stabilizers=self.stabilizers,
            learning_rate=self._critic_rate(1.0),
            betas=(0.0, 0.999),
            max_grad_norm=self.max_grad_norm,
            seed=int(torch.randint(2**31, ())),  # drawn from what SB3 has just seeded
        )

    def _choose_buffer(self) -> None:
        if self.replay_buffer_class is None:
            self.replay_buffer_class, settings = replay_buffer_for(
                self.observation_space, self.n_bootstrap_steps, self.gamma
            )
            self.replay_buffer_kwargs = {**settings, **(self.replay_buffer_kwargs or {})}

    def _create_aliases(self) -> None:
        super()._create_aliases()
        self.q_net_average = self.policy.q_net_average
        # Walking the modules for these costs as much as a small forward.
        self._generator_parameters = list(self.q_net.parameters())
        self._average_parameters = list(self.q_net_average.parameters())

    def _critic_rate(self, progress_remaining: float) -> float:
        rate = self.critic_learning_rate
        return float(rate(progress_remaining)) if callable(rate) else float(rate)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take ``gradient_steps`` steps of critic and generator, both on the same minibatch, the critic first."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self.learner.set_learning_rate(self._critic_rate(self._current_progress_remaining))
        for step in range(gradient_steps):
            metrics = self._step(self._sample(batch_size), measures=step == gradient_steps - 1)
        self._n_updates += gradient_steps
        self._log(metrics)

    def _sample(self, batch_size: int) -> tuple[Batch, Tensor, Tensor]:
        """Transitions, their (n-step) rewards ``(batch, 1)``, and the discount of what follows, 0 after a termination."""
        assert self.replay_buffer is not None
        data: Any = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
        discounts = getattr(data, "discounts", None)  # only n-step samples have them
        discounts = (self.gamma if discounts is None else discounts) * (1 - data.dones)
        batch = Batch(data.observations, data.actions.reshape(-1).long(), data.next_observations, data.dones.reshape(-1))
        return batch, data.rewards, discounts

    def _step(self, sampled: tuple[Batch, Tensor, Tensor], measures: bool) -> dict[str, Tensor]:
        batch, rewards, discounts = sampled
        if self.learner.n_updates == 0:
            self.learner.refer_to(replace(batch, returns=rewards.new_zeros(len(batch), self.n_samples)))
        noise = torch.randn(self.n_samples, generator=self.learner.generator, device=self.device)
        with torch.no_grad():
            targets = rewards + discounts * self.q_net_target.greedy_samples(batch.next_observations, noise)
        means, samples = self.q_net.samples(batch.observations, batch.actions, noise)  # (batch, 1), (batch, n_samples)
        real, fake = self._as_seen(batch, means.detach(), targets, samples)

        metrics = self.learner.update(real, fake, measures=measures)
        loss = self.learner.generator_loss(fake)
        if self.td_weight:
            loss = loss + self.td_weight * smooth_l1_loss(means, targets.mean(dim=1, keepdim=True))
        self._step_generator(loss)
        if not measures:
            return metrics
        return {
            **metrics,
            "generator_loss": loss.detach(),
            "value": means.detach().mean(),
            "spread": (samples.detach() - means.detach()).square().mean().sqrt(),
        }

    def _as_seen(self, batch: Batch, means: Tensor, targets: Tensor, samples: Tensor) -> tuple[Batch, Batch]:
        """Both sides as the critic sees them: distances from the generator's mean, in the residuals' unit."""
        if not self._mode.centers:
            return replace(batch, returns=targets), replace(batch, returns=samples)
        real, fake = targets - means, samples - means
        scale = self.residuals.update(real, fake.detach())
        return replace(batch, returns=real / scale), replace(batch, returns=fake / scale)

    def _step_generator(self, loss: Tensor) -> None:
        parameters = self._generator_parameters
        # In the generator's parameters alone: the critic keeps no gradient of it.
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        if self.max_grad_norm is not None:
            clip_grad_norm_(parameters, self.max_grad_norm)
        self.policy.optimizer.step()
        get_ema_multi_avg_fn(1 - self.average_rate)(self._average_parameters, parameters, None)

    def _log(self, metrics: dict[str, Tensor]) -> None:
        values = {key: float(value) for key, value in metrics.items()}
        if not np.isfinite(list(values.values())).all():
            raise TrainingDiverged(
                f"GAN-Q's losses are no longer finite after {self._n_updates} updates: {values}; "
                "lower learning_rate and critic_learning_rate, or leave loss and stabilizers at their defaults"
            )
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for key in ("generator_loss", "value", "spread"):
            self.logger.record(f"train/{key}", values.pop(key))
        self.logger.record("train/loss", values["loss"])
        for key, value in values.items():
            self.logger.record(f"critic/{key}", value)

    def return_distribution(self, observation: np.ndarray | dict[str, np.ndarray], n: int = 32) -> np.ndarray:
        """Samples of the return of every action; see ``GANQPolicy.return_distribution``."""
        return self.policy.return_distribution(observation, n)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str = "GANQ",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train; the arguments are those of SB3's ``learn``.

        Raises:
            TrainingDiverged: a loss is no longer finite.
        """
        return super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)

    def _excluded_save_params(self) -> list[str]:
        return [
            *super()._excluded_save_params(),
            "q_net_average",
            "_generator_parameters",
            "_average_parameters",
            "learner",
            "residuals",
        ]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer", "learner", "residuals"], []


def _check_settings(model: GANQ) -> None:
    if model.n_samples < 1:
        raise ConfigurationError(f"n_samples: given {model.n_samples}; expected at least 1")
    if not 0 < model.average_rate <= 1:
        raise ConfigurationError(f"average_rate: given {model.average_rate}; expected a number in (0, 1]")
    if model.td_weight < 0:
        raise ConfigurationError(f"td_weight: given {model.td_weight}; expected 0 or more")
