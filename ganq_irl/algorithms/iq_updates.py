"""Gradient steps of IQ-Learn on Stable-Baselines3's networks: soft Q-learning for DQN, soft actor-critic for SAC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.utils import polyak_update, update_learning_rate
from torch import Tensor

from ganq_irl.algorithms.absorbing import BoundedAbsorbingValue
from ganq_irl.algorithms.expert_replay import ExpertReplay, joined
from ganq_irl.algorithms.iq_objective import chosen_values, smallest, soft_maximum
from ganq_irl.algorithms.settings import Schedule, rate_at
from ganq_irl.errors import TrainingDiverged
from ganq_irl.generators.internals import count_update, n_updates, progress_remaining, update_learning_rates

Metrics = dict[str, Tensor]


class Objective(Protocol):
    """Loss of a critic, ``(q_values, values, continuations, n_expert) -> scalar``; see ``IQObjective``."""

    @property
    def bound(self) -> float:
        """V(s') is clipped to ±bound."""
        ...

    def __call__(self, q_values: Tensor, values: Tensor, continuations: Tensor, n_expert: int) -> Tensor:
        """Return the loss."""
        ...


class IQUpdate(ABC):
    """Base class for replacements of an SB3 algorithm's ``train``.

    Args:
        model: the SB3 algorithm, whose networks, optimizers, schedules and replay are used.
        expert: the demonstrations.
        objective: objective of the critic.
        use_target: whether V(s') comes from the target network, without gradient, or from the critic, with gradient.

    Attributes:
        absorbing: value of the state after an end; None means that an end is worth 0.
    """

    def __init__(self, model: Any, expert: ExpertReplay, objective: Objective, use_target: bool) -> None:
        self.model, self.expert, self.objective, self.use_target = model, expert, objective, use_target
        self.absorbing: BoundedAbsorbingValue | None = None

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Take ``gradient_steps`` steps, each on ``batch_size`` demonstrated and as many replayed transitions."""
        model = self.model
        model.policy.set_training_mode(True)
        self._update_learning_rates()
        env = model.get_vec_normalize_env()
        for step in range(gradient_steps):
            replayed = model.replay_buffer.sample(batch_size, env=env)
            data = joined(self.expert.draw(batch_size, env), replayed)
            metrics = self._step(data, batch_size, step)
            count_update(model)
            self._require_finite(metrics)
            if self.absorbing is not None:
                self.absorbing.observe(data.dones, batch_size)
                self.absorbing.follow(self.absorbing.reward)
        model.logger.record("train/n_updates", n_updates(model), exclude="tensorboard")
        for key, value in metrics.items():
            model.logger.record(f"train/{key}", float(value))
        if self.absorbing is not None:
            model.logger.record("train/absorbing_value", self.absorbing.value)

    @abstractmethod
    def _update_learning_rates(self) -> None:
        """Update the learning rates, like SB3's ``train`` at its start."""

    @abstractmethod
    def _step(self, data: Any, n_expert: int, step: int) -> Metrics:
        """Take one step of all networks and return the metrics from before it."""

    def _continuations(self, data: Any, next_values: Tensor) -> Tensor:
        dones, bound = data.dones.reshape(-1), self.objective.bound
        continuations = self.model.gamma * (1 - dones) * next_values.clamp(-bound, bound)
        return continuations if self.absorbing is None else continuations + self.absorbing.terminal_bonus(dones)

    def _require_finite(self, metrics: Metrics) -> None:
        """Raise if a metric is not finite, since SB3 would fail later with an unclear message."""
        values = {key: float(value) for key, value in metrics.items()}
        if not np.isfinite(list(values.values())).all():
            raise TrainingDiverged(
                f"the critic's losses are no longer finite after {n_updates(self.model)} updates: {values}; lower the "
                "generator's learning_rate, or for iq-learn use regularize='both'"
            )

    @staticmethod
    def _metrics(loss: Tensor, rewards: Tensor, values: Tensor, n_expert: int) -> Metrics:
        return {
            "critic_loss": loss.detach(),
            "expert_reward": rewards[:n_expert].detach().mean(),
            "policy_reward": rewards[n_expert:].detach().mean(),
            "value": values.detach().mean(),
        }


class SoftQUpdate(IQUpdate):
    """Discrete actions (section 4.3): V(s) = τ log Σ exp(Q/τ), and the policy softmax(Q/τ).

    Target network, gradient clipping, replay and update frequency are DQN's.

    Args:
        temperature: τ.
        rng: random generator of the policy's actions, on the model's device.
        model: an SB3 DQN.
        expert: the demonstrations.
        objective: objective of the Q-network.
        use_target: see ``IQUpdate``.
    """

    model: DQN

    def __init__(self, *arguments: Any, temperature: float, rng: torch.Generator) -> None:
        super().__init__(*arguments)
        self.temperature, self.rng = temperature, rng

    def _update_learning_rates(self) -> None:
        update_learning_rates(self.model, [self.model.policy.optimizer])

    def _step(self, data: Any, n_expert: int, step: int) -> Metrics:
        model = self.model
        q_values = model.q_net(data.observations)
        chosen, values = chosen_values(q_values, data.actions), soft_maximum(q_values, self.temperature)
        continuations = self._continuations(data, self._next_values(data.next_observations))
        loss = self.objective(chosen, values, continuations, n_expert)
        model.policy.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.policy.parameters(), model.max_grad_norm)
        model.policy.optimizer.step()
        return self._metrics(loss, chosen - continuations, values, n_expert)

    def _next_values(self, observations: Any) -> Tensor:
        if not self.use_target:
            return soft_maximum(self.model.q_net(observations), self.temperature)
        with torch.no_grad():
            return soft_maximum(self.model.q_net_target(observations), self.temperature)

    @torch.no_grad()
    def sample_actions(self, observation: Any) -> np.ndarray:
        """Sample from the policy softmax(Q/τ), for one observation or a batch, in the format of SB3's ``predict``."""
        policy = self.model.policy
        policy.set_training_mode(False)
        observations, is_batch = policy.obs_to_tensor(observation)
        probabilities = torch.softmax(self.model.q_net(observations) / self.temperature, dim=1)
        actions = torch.multinomial(probabilities, 1, generator=self.rng).squeeze(1).cpu().numpy()
        return actions if is_batch else actions[0]


class SoftActorCriticUpdate(IQUpdate):
    """Continuous actions (section 4.4): V(s) = min_i Q_i(s, a) - τ log π(a|s) for an action sampled from the actor.

    Each critic minimizes the objective with the V of all critics, and the actor takes SAC's step on both halves of the
    batch. Entropy coefficient τ, target networks, replay and update frequency are SAC's.

    Args:
        actor_learning_rate: learning rate of the actor, or None for the generator's.
        model: an SB3 SAC.
        expert: the demonstrations.
        objective: objective of each critic.
        use_target: see ``IQUpdate``.
    """

    model: SAC

    def __init__(self, *arguments: Any, actor_learning_rate: Schedule | None) -> None:
        super().__init__(*arguments)
        self.actor_learning_rate = actor_learning_rate

    def _update_learning_rates(self) -> None:
        model = self.model
        optimizers = [model.actor.optimizer, model.critic.optimizer]
        if model.ent_coef_optimizer is not None:
            optimizers.append(model.ent_coef_optimizer)
        update_learning_rates(model, optimizers)
        if self.actor_learning_rate is not None:
            rate = rate_at(self.actor_learning_rate, progress_remaining(model))
            update_learning_rate(model.actor.optimizer, rate)

    def _step(self, data: Any, n_expert: int, step: int) -> Metrics:
        model = self.model
        if model.use_sde:
            model.actor.reset_noise()
        actions, log_probs = model.actor.action_log_prob(data.observations)  # with gradient, for the actor
        coefficient, of_coefficient = self._step_entropy(log_probs)
        values = self._values(model.critic, data.observations, actions.detach(), coefficient * log_probs.detach())
        continuations = self._continuations(data, self._next_values(data.next_observations, coefficient))
        q_values = [q.squeeze(1) for q in model.critic(data.observations, data.actions)]
        loss = torch.stack([self.objective(q, values, continuations, n_expert) for q in q_values]).mean()
        _descend(model.critic.optimizer, loss)
        actor_loss = (coefficient * log_probs - smallest(model.critic(data.observations, actions))).mean()
        _descend(model.actor.optimizer, actor_loss)
        if step % model.target_update_interval == 0:
            polyak_update(model.critic.parameters(), model.critic_target.parameters(), model.tau)
            polyak_update(model.batch_norm_stats, model.batch_norm_stats_target, 1.0)
        of_critic = self._metrics(loss, torch.stack(q_values).mean(dim=0) - continuations, values, n_expert)
        return {**of_critic, "actor_loss": actor_loss.detach(), "entropy": -log_probs.detach().mean(), **of_coefficient}

    def _step_entropy(self, log_probs: Tensor) -> tuple[Tensor, Metrics]:
        """Take SAC's step of the entropy coefficient, if it is tuned, and return the coefficient before the step."""
        model = self.model
        if model.ent_coef_optimizer is None:
            return model.ent_coef_tensor, {}
        assert model.log_ent_coef is not None
        coefficient = model.log_ent_coef.detach().exp()
        target_entropy = float(model.target_entropy)
        _descend(model.ent_coef_optimizer, -(model.log_ent_coef * (log_probs.detach() + target_entropy)).mean())
        return coefficient, {"ent_coef": coefficient}

    def _next_values(self, observations: Any, coefficient: Tensor) -> Tensor:
        with torch.no_grad():
            actions, log_probs = self.model.actor.action_log_prob(observations)
        if not self.use_target:
            return self._values(self.model.critic, observations, actions, coefficient * log_probs)
        with torch.no_grad():
            return self._values(self.model.critic_target, observations, actions, coefficient * log_probs)

    @staticmethod
    def _values(critic: Any, observations: Any, actions: Tensor, costs: Tensor) -> Tensor:
        return smallest(critic(observations, actions)) - costs


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
