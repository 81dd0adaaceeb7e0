"""Updates of SAC and TD3 without autograd, with the same random draws in the same order as in SB3."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from stable_baselines3 import SAC, TD3
from torch import Tensor

from ganq_irl.accelerated.core import FlatAdam, ParameterVector, stacks_of
from ganq_irl.accelerated.sac.networks import Critics, DeterministicActor, GaussianActor
from ganq_irl.generators.internals import n_updates

Losses = dict[str, float]


class Update(ABC):
    """Base class for the updates that ``FastSAC`` and ``FastTD3`` run instead of SB3's ``train``.

    Attributes:
        actor: the policy that collects experience.
        adams: the optimizers whose learning rates follow the schedule, in SB3's order.
        followers: parameters of the target networks.
    """

    actor: Any  # GaussianActor or DeterministicActor
    adams: list[FlatAdam]
    followers: list[ParameterVector]

    @abstractmethod
    def __init__(self, model: Any) -> None: ...

    def adopt(self) -> None:
        """Adopt parameters and optimizers that were replaced, for example by loading."""
        for parameters in self.followers:
            parameters.adopt()
        for adam in self.adams:
            adam.adopt()

    @abstractmethod
    def step(self, data: Any, number: int) -> Losses:
        """Take a gradient step on a sample of the replay buffer; return its losses by SB3's names.

        Args:
            data: result of ``ReplayBuffer.sample``.
            number: number of the step in its call of ``train``, from 0.
        """


class SoftUpdate(Update):
    """SAC's update: entropy coefficient, critics, actor, targets (Haarnoja et al., 2018).

    Args:
        model: a model accepted by ``why_slow``. Rates and coefficients are read at each step.
    """

    def __init__(self, model: SAC) -> None:
        self._model = model
        self._vector, self._critics = _critics_of(model.critic)
        self._target_vector, self._targets = _critics_of(model.critic_target)
        self.actor = GaussianActor(model.actor)
        self._of_critics = FlatAdam(model.critic.optimizer, self._vector)
        self._of_actor = FlatAdam(model.actor.optimizer, self.actor.vector)
        self._of_entropy: FlatAdam | None = None
        self.adams, self.followers = [self._of_actor, self._of_critics], [self._target_vector]
        if model.ent_coef_optimizer is not None and model.log_ent_coef is not None:
            self._entropy = ParameterVector([(model.log_ent_coef,)])
            self._of_entropy = FlatAdam(model.ent_coef_optimizer, self._entropy)
            self.adams.append(self._of_entropy)

    def step(self, data: Any, number: int) -> Losses:
        """Take a gradient step."""
        model, n_rows = self._model, len(data.rewards)
        observations, next_observations = data.observations.flatten(1), data.next_observations.flatten(1)
        draw = self.actor.draw(observations, next_observations)
        log_probs, next_log_probs = draw.log_probs.split(n_rows)
        ent_coef, losses = self._step_entropy(log_probs)

        values = self._targets(next_observations, draw.actions[n_rows:]).amin(0).sub_(ent_coef * next_log_probs)
        errors = self._critics(observations, data.actions) - _targets_of(data, model.gamma, values)  # (n_critics, batch)
        losses["critic_loss"] = 0.5 * float(errors.square().mean(1).sum())
        self._critics.backward(errors.div_(n_rows))
        self._of_critics.step()

        smallest, which = self._critics.of_other_actions(draw.actions[:n_rows]).min(0)
        losses["actor_loss"] = float((ent_coef * log_probs - smallest).mean())
        of_values = torch.zeros_like(errors).scatter_(0, which.unsqueeze(0), -1 / n_rows)
        self.actor.backward(draw, self._critics.action_gradient(of_values), ent_coef / n_rows)
        self._of_actor.step()

        if number % model.target_update_interval == 0:
            self._target_vector.data.lerp_(self._vector.data, model.tau)
        return losses

    def _step_entropy(self, log_probs: Tensor) -> tuple[Tensor, Losses]:
        """Return the entropy coefficient, then take a step of it if it is tuned."""
        if self._of_entropy is None:
            return self._model.ent_coef_tensor, {"ent_coef": float(self._model.ent_coef_tensor)}
        log_ent_coef, ent_coef = self._entropy.data, self._entropy.data.exp()
        assert isinstance(self._model.target_entropy, float)
        # L = -log α (log π + target entropy)
        torch.add(log_probs.mean(), self._model.target_entropy, out=self._entropy.gradient[0]).neg_()
        losses = {"ent_coef": float(ent_coef), "ent_coef_loss": float(log_ent_coef * self._entropy.gradient)}
        self._of_entropy.step()
        return ent_coef, losses


class DelayedUpdate(Update):
    """TD3's update: critics, and every ``policy_delay`` steps actor and targets (Fujimoto et al., 2018, algorithm 1).

    Args:
        model: a model accepted by ``why_slow``. Rates and noise are read at each step.
    """

    def __init__(self, model: TD3) -> None:
        self._model = model
        self._vector, self._critics = _critics_of(model.critic)
        self._target_vector, self._targets = _critics_of(model.critic_target)
        self._first = Critics(_networks(model.critic)[:1], self._vector)
        self.actor, self._target_actor = DeterministicActor(model.actor), DeterministicActor(model.actor_target)
        self._of_critics = FlatAdam(model.critic.optimizer, self._vector)
        self._of_actor = FlatAdam(model.actor.optimizer, self.actor.vector)
        self.adams = [self._of_actor, self._of_critics]
        self.followers = [self._target_vector, self._target_actor.vector]

    def step(self, data: Any, number: int) -> Losses:
        """Take a gradient step."""
        model, n_rows = self._model, len(data.rewards)
        observations, next_observations = data.observations.flatten(1), data.next_observations.flatten(1)
        noise = torch.empty_like(data.actions).normal_(0, model.target_policy_noise)
        noise.clamp_(-model.target_noise_clip, model.target_noise_clip)
        next_actions = self._target_actor.act(next_observations).add_(noise).clamp_(-1, 1)
        values = self._targets(next_observations, next_actions).amin(0)
        errors = self._critics(observations, data.actions) - _targets_of(data, model.gamma, values)  # (n_critics, batch)
        losses = {"critic_loss": float(errors.square().mean(1).sum())}
        self._critics.backward(errors.mul_(2 / n_rows))
        self._of_critics.step()
        if (n_updates(model) + number + 1) % model.policy_delay == 0:
            losses["actor_loss"] = self._step_actor(observations)
        return losses

    def _step_actor(self, observations: Tensor) -> float:
        values = self._first(observations, self.actor.act(observations))
        loss = -float(values.mean())
        self.actor.backward(self._first.action_gradient(torch.full_like(values, -1 / values.shape[1])))
        self._of_actor.step()
        self._target_vector.data.lerp_(self._vector.data, self._model.tau)
        self._target_actor.vector.data.lerp_(self.actor.vector.data, self._model.tau)
        return loss


def _critics_of(critic: Any) -> tuple[ParameterVector, Critics]:
    networks = _networks(critic)
    vector = ParameterVector(stacks_of([list(network) for network in networks]))
    return vector, Critics(networks, vector)


def _networks(critic: Any) -> list[Any]:
    return list(critic.q_networks)


def _targets_of(data: Any, gamma: float, next_values: Tensor) -> Tensor:
    """Return r + (1 - d) γ V(s'), ``(batch,)``; n-step samples have their own discounts."""
    discounts = getattr(data, "discounts", None)
    discounts = gamma if discounts is None else discounts.flatten()
    return data.rewards.flatten() + (1 - data.dones.flatten()) * discounts * next_values
