"""GAN-Q's update in numpy, with the same results as with autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganq_irl.accelerated.core import FlatAdam, ParameterVector, clip_norm
from ganq_irl.accelerated.ganq.critic import CriticScores, FastCritic
from ganq_irl.accelerated.ganq.return_model import FastReturnModel
from ganq_irl.accelerated.ganq.support import ReturnLearner, why_slow
from ganq_irl.discriminator.metrics import discriminator_metrics
from ganq_irl.types import Batch, Observations

Metrics = dict[str, Tensor]


class FastUpdate:
    """GAN-Q's steps, equal to those with autograd up to rounding, with the same random draws, in a fraction of the time.

    Args:
        model: a model accepted by ``why_slow``. Its parameters and the state of its optimizers become views of the vectors
            here.
    """

    why_slow = staticmethod(why_slow)

    def __init__(self, model: ReturnLearner) -> None:
        self._parts = _parts_of(model)
        learner = model.adversary.learner
        (self._penalty,) = learner.stabilizers
        self._learner, self._residuals = learner, model.adversary.residuals
        self._draw_noise = model.draw_noise
        self._vector, self._average, of_target, self._of_critic = (
            ParameterVector([(parameter,) for parameter in network.parameters()])
            for network in (model.q_net, model.q_net_average, model.q_net_target, learner.discriminator)
        )
        self._followers = self._average, of_target
        self._adam, self._max_grad_norm = FlatAdam(model.policy.optimizer, self._vector), model.max_grad_norm
        self._critic_adam = FlatAdam(learner.optimizer, self._of_critic)
        self._model = FastReturnModel(model.q_net, self._vector)
        self._target = FastReturnModel(model.q_net_target, of_target)
        self._chooser = FastReturnModel(model.q_net_average, self._average) if model.double_q else None
        self._critic = FastCritic(learner.discriminator, self._of_critic, self._penalty.weight)
        self._average_rate, self._td_weight = model.average_rate, model.td_weight

    def matches(self, model: ReturnLearner) -> bool:
        """Return whether the model still has the objects and settings from which this update was built."""
        parts = _parts_of(model)
        return len(parts) == len(self._parts) and all(mine is its for mine, its in zip(self._parts, parts, strict=True))

    def adopt(self) -> None:
        """Adopt parameters and optimizer states that were replaced, for example by loading."""
        for shared in (self._adam, self._critic_adam, *self._followers):
            shared.adopt()

    @torch.no_grad()
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the log reports a divergence, as it does elsewhere
    def step(self, sampled: tuple[Batch, Tensor, Tensor], measures: bool) -> tuple[Metrics, Metrics]:
        """Take a step of the critic, then of the return model; if ``measures``, return the metrics of both."""
        batch, rewards, discounts = sampled
        observations = _rows(batch.observations)
        noise = self._draw_noise()
        targets = self._targets(_rows(batch.next_observations), rewards.numpy(), discounts.numpy(), noise.numpy())
        outputs = self._model(observations, noise.numpy())
        at = _chosen(outputs, batch.actions.numpy())
        chosen = _flat(outputs).take(at, axis=0)
        means, deviations = chosen[:, :1], chosen[:, 1:]  # (batch, 1) and (batch, n)
        # The critic sees distances from the mean in units of the residuals. For fakes, that is the deviation.
        td_loss, of_means = self._td_term(means, targets)
        scale, real, fake = self._as_seen(targets - means, deviations)

        self._critic.read(observations, at)
        scores, norm = self._step_critic(real, fake, with_scores=measures)
        self._critic.read(observations, at)
        self._step_return_model(outputs, at, fake, scale, of_means)
        self._learner.n_updates += 1
        if not measures:
            return {}, {}
        of_model = {"generator_loss": td_loss - self._critic.scores(fake).mean(), "value": means.mean()}
        of_model["spread"] = np.sqrt(np.square(deviations).mean())
        assert scores is not None
        return _tensors(of_model), self._critic_metrics(scores, norm)

    def _targets(
        self, next_observations: Tensor, rewards: np.ndarray, discounts: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Return Σ_k γ^k r_k + γ^n G_target(z | s', a*) for the action a* with the highest mean, ``(batch, n_samples)``."""
        outputs = self._target(next_observations, noise)
        means = outputs[:, :, 0] if self._chooser is None else self._chooser.means(next_observations)
        greedy = _flat(outputs).take(_chosen(outputs, means.argmax(axis=1)), axis=0)
        return rewards + discounts * (greedy[:, :1] + greedy[:, 1:])

    def _as_seen(self, real: np.ndarray, fake: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the residuals' scale σ, and both sides in units of it, ``(n_samples, batch)``."""
        scale = float(self._residuals.update(torch.from_numpy(real), torch.from_numpy(fake)))
        return scale, real.T / scale, fake.T / scale

    def _td_term(self, means: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray | float]:
        """Return the Huber loss of the means, ``(batch, 1)``, and its gradient, ``(batch,)``; both 0 without a TD term."""
        if not self._td_weight:
            return 0.0, 0.0
        errors = means[:, 0] - targets.mean(axis=1)
        clipped = np.clip(errors, -1, 1)
        return self._td_weight * (clipped * (errors - 0.5 * clipped)).mean(), self._td_weight / len(errors) * clipped

    def _step_critic(
        self, real: np.ndarray, fake: np.ndarray, with_scores: bool
    ) -> tuple[CriticScores | None, Tensor | None]:
        weights = torch.rand(real.T.shape, generator=self._learner.rng).numpy().T
        between = fake + weights * (real - fake)
        scores = self._critic.backward(real, fake, between, with_scores=with_scores)
        norm = _clipped(self._of_critic, self._learner.max_grad_norm)
        self._critic_adam.step()
        return scores, norm

    def _step_return_model(
        self, outputs: np.ndarray, at: np.ndarray, fake: np.ndarray, scale: float, of_means: np.ndarray | float
    ) -> None:
        """Minimize -mean D(fake) through ∂D/∂x, and a TD term through ``of_means``, then update the average."""
        of_samples = self._critic.slopes(fake).T / (-scale * fake.size)
        gradient = np.zeros_like(outputs)
        rows = np.empty((len(at), outputs.shape[2]), np.float32)
        rows[:, 0], rows[:, 1:] = of_samples.sum(axis=1) + of_means, of_samples
        _flat(gradient)[at] = rows
        self._model.backward(gradient)
        _clipped(self._vector, self._max_grad_norm)
        self._adam.step()
        self._average.data.lerp_(self._vector.data, self._average_rate)

    def _critic_metrics(self, scores: CriticScores, norm: Tensor | None) -> Metrics:
        """Return metrics with the names and in the order of ``DiscriminatorLearner.update``."""
        real, fake = torch.from_numpy(scores.real), torch.from_numpy(scores.fake)
        penalty = self._penalty.weight * np.square(scores.slopes).mean()
        return {
            "loss": self._learner.loss.real(real).mean() + self._learner.loss.fake(fake).mean(),
            **discriminator_metrics(self._learner.loss, real, fake),
            **_tensors({f"penalty/{self._penalty.name}": penalty}),
            **({} if norm is None else {"gradient_norm": norm}),
        }


def _parts_of(model: ReturnLearner) -> tuple[Any, ...]:
    """Return all objects that an update refers to; if one of them is replaced, the model needs a new update."""
    learner = model.adversary.learner
    networks = (model.q_net, model.q_net_average, model.q_net_target, learner.discriminator)
    settings = (model.max_grad_norm, model.average_rate, model.td_weight, model.double_q, learner.stabilizers[0].weight)
    kept = (learner, model.adversary.residuals, model.policy.optimizer, learner.optimizer, *learner.stabilizers)
    parameters = (parameter for network in networks for parameter in network.parameters())
    return (*networks, *settings, *kept, *parameters)


def _rows(observations: Observations) -> Tensor:
    """Flatten observations like SB3's FlattenExtractor and the critic's encoder, ``(batch, dim)``."""
    assert isinstance(observations, Tensor)
    return observations.float().flatten(1)


def _clipped(vector: ParameterVector, max_norm: float | None) -> Tensor | None:
    """Clip the gradient if there is a bound, and return its norm before."""
    return None if max_norm is None else clip_norm(vector.gradient, max_norm)


def _flat(outputs: np.ndarray) -> np.ndarray:
    """Reshape ``(batch, n_actions, n) -> (batch * n_actions, n)``, without copying."""
    return outputs.reshape(-1, outputs.shape[2])


def _chosen(outputs: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return the rows of ``_flat`` for the given actions, ``(batch,)``."""
    return np.arange(0, outputs.shape[0] * outputs.shape[1], outputs.shape[1]) + actions


def _tensors(metrics: dict[str, float]) -> Metrics:
    return {name: torch.tensor(float(value)) for name, value in metrics.items()}
