"""GAN-Q's updates on numpy: from the state that a ``GANQ`` is in to the one that autograd would have led to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ganq_irl.accelerated.ganq.critic import FastCritic, Judgement
from ganq_irl.accelerated.ganq.generator import FastGenerator
from ganq_irl.accelerated.ganq.support import ReturnLearner, why_not_fast
from ganq_irl.accelerated.ganq.vectors import FlatAdam, Vector
from ganq_irl.discriminator.metrics import discriminator_metrics
from ganq_irl.types import Batch, Observations

Metrics = dict[str, Tensor]


class FastUpdate:
    """GAN-Q's steps, equal to those by autograd to rounding, with the same random draws, in a fraction of the time.

    It is a context manager that gives ``step``. Networks and optimisers are read at construction and written by ``store``,
    when the context ends; in between, torch's own are out of date.

    Args:
        model: one that ``why_not_fast`` lets pass.
    """

    why_not = staticmethod(why_not_fast)

    def __init__(self, model: ReturnLearner) -> None:
        learner = model.adversary.learner
        (self._penalty,) = learner.stabilizers
        self._learner, self._residuals = learner, model.adversary.residuals
        self._draw_noise = model.draw_noise
        self._of_generator = FlatAdam(model.policy.optimizer, list(model.q_net.parameters()), model.max_grad_norm)
        critic = learner.discriminator
        self._of_critic = FlatAdam(learner.optimizer, list(critic.parameters()), learner.max_grad_norm)
        self._average, self._average_rate = Vector(list(model.q_net_average.parameters())), model.average_rate
        self._generator = FastGenerator(model.q_net, self._of_generator.parameters.views)
        self._target = FastGenerator(model.q_net_target, {p: p.detach().numpy() for p in model.q_net_target.parameters()})
        self._chooser = FastGenerator(model.q_net_average, self._average.views) if model.double_q else None
        self._critic = FastCritic(critic, self._of_critic.parameters.views, self._penalty.weight)
        self._td_weight, self._n_updates = model.td_weight, 0

    def __enter__(self) -> Callable[..., tuple[Metrics, Metrics]]:
        return self.step

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.store()

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the log tells of a divergence, as it does elsewhere
    def step(self, sampled: tuple[Batch, Tensor, Tensor], measures: bool) -> tuple[Metrics, Metrics]:
        """A step of the critic, then of the generator; with ``measures``, metrics of the generator and of the critic."""
        batch, rewards, discounts = sampled
        observations = _rows(batch.observations)
        noise = self._draw_noise()
        targets = self._targets(_rows(batch.next_observations), rewards.numpy(), discounts.numpy(), noise.numpy())
        outputs = self._generator(observations, noise.numpy())
        at = _chosen(outputs, batch.actions.numpy())
        chosen = _flat(outputs).take(at, axis=0)
        means, deviations = chosen[:, :1], chosen[:, 1:]  # (batch, 1) and (batch, n)
        # The critic sees both as distances from the mean, in the residuals' unit: of the fakes that is the deviation.
        td_loss, of_means = self._td_term(means, targets)
        scale, real, fake = self._as_seen(targets - means, deviations)

        self._critic.read(observations, at)
        judgement, norm = self._step_critic(real, fake, judges=measures)
        self._critic.read(observations, at)
        self._step_generator(outputs, at, fake, scale, of_means)
        self._n_updates += 1
        if not measures:
            return {}, {}
        of_generator = {"generator_loss": td_loss - self._critic.scores(fake).mean(), "value": means.mean()}
        of_generator["spread"] = np.sqrt(np.square(deviations).mean())
        assert judgement is not None
        return _tensors(of_generator), self._critic_metrics(judgement, norm)

    def store(self) -> None:
        """Bring networks, optimisers and counters of the model up to date."""
        for part in (self._of_generator, self._of_critic, self._average):
            part.store()
        self._learner.n_updates += self._n_updates
        self._n_updates = 0

    def _targets(
        self, next_observations: np.ndarray, rewards: np.ndarray, discounts: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Σ_k γ^k r_k + γ^n G_target(z | s', a*), a* the action of the highest mean, ``(batch, n_samples)``."""
        outputs = self._target(next_observations, noise)
        means = outputs[:, :, 0] if self._chooser is None else self._chooser.means(next_observations)
        greedy = _flat(outputs).take(_chosen(outputs, means.argmax(axis=1)), axis=0)
        return rewards + discounts * (greedy[:, :1] + greedy[:, 1:])

    def _as_seen(self, real: np.ndarray, fake: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The residuals' unit σ, and both sides in it, ``(n_samples, batch)``."""
        scale = float(self._residuals.update(torch.from_numpy(real), torch.from_numpy(fake)))
        return scale, real.T / scale, fake.T / scale

    def _td_term(self, means: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray | float]:
        """The Huber loss of the means, ``(batch, 1)``, and its gradient in them, ``(batch,)``; both 0 without a TD term."""
        if not self._td_weight:
            return 0.0, 0.0
        errors = means[:, 0] - targets.mean(axis=1)
        clipped = np.clip(errors, -1, 1)
        return self._td_weight * (clipped * (errors - 0.5 * clipped)).mean(), self._td_weight / len(errors) * clipped

    def _step_critic(self, real: np.ndarray, fake: np.ndarray, judges: bool) -> tuple[Judgement | None, float]:
        weights = torch.rand(real.T.shape, generator=self._learner.rng).numpy().T
        between = fake + weights * (real - fake)
        judgement = self._critic.backward(real, fake, between, self._of_critic.gradients, judges=judges)
        return judgement, self._of_critic.step()

    def _step_generator(
        self, outputs: np.ndarray, at: np.ndarray, fake: np.ndarray, scale: float, of_means: np.ndarray | float
    ) -> None:
        """Descend -mean D(fake) by way of ∂D/∂x, and a TD term by ``of_means``, then let the average follow."""
        of_samples = self._critic.slopes(fake).T / (-scale * fake.size)
        gradient = np.zeros_like(outputs)
        rows = np.empty((len(at), outputs.shape[2]), np.float32)
        rows[:, 0], rows[:, 1:] = of_samples.sum(axis=1) + of_means, of_samples
        _flat(gradient)[at] = rows
        self._generator.backward(gradient, self._of_generator.gradients)
        self._of_generator.step()
        torch.from_numpy(self._average.data).lerp_(torch.from_numpy(self._of_generator.parameters.data), self._average_rate)

    def _critic_metrics(self, judgement: Judgement, norm: float) -> Metrics:
        """Under the names, and in the order, of ``DiscriminatorLearner.update``."""
        real, fake = torch.from_numpy(judgement.real), torch.from_numpy(judgement.fake)
        penalty = self._penalty.weight * np.square(judgement.slopes).mean()
        return {
            "loss": self._learner.loss.real(real).mean() + self._learner.loss.fake(fake).mean(),
            **discriminator_metrics(self._learner.loss, real, fake),
            **_tensors({f"penalty/{self._penalty.name}": penalty}),
            **({} if self._learner.max_grad_norm is None else _tensors({"gradient_norm": norm})),
        }


def _rows(observations: Observations) -> np.ndarray:
    """As SB3's FlattenExtractor and the critic's encoder have them, ``(batch, dim)``."""
    assert isinstance(observations, Tensor)
    return observations.float().numpy().reshape(len(observations), -1)


def _flat(outputs: np.ndarray) -> np.ndarray:
    """``(batch, n_actions, n) -> (batch * n_actions, n)``, a view."""
    return outputs.reshape(-1, outputs.shape[2])


def _chosen(outputs: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Rows of ``_flat`` that belong to the actions, ``(batch,)``."""
    return np.arange(0, outputs.shape[0] * outputs.shape[1], outputs.shape[1]) + actions


def _tensors(metrics: dict[str, float]) -> Metrics:
    return {name: torch.tensor(float(value)) for name, value in metrics.items()}
