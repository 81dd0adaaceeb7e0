"""PPO's update without autograd, with metrics computed for all minibatches of an epoch at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from ganq_irl.accelerated.ppo.networks import ActorCritic


class Minibatch(NamedTuple):
    """Rows of a rollout, and memory for the results of the update."""

    observations: Tensor  # (batch, n) float32
    actions: Tensor  # (batch, n)
    old_values: Tensor  # (batch,), like all others
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    values: Tensor
    log_ratio: Tensor
    entropy: Tensor


class Metrics(NamedTuple):
    """One number for each minibatch of an epoch, ``(n_minibatches,)``."""

    policy_loss: Tensor
    value_loss: Tensor
    entropy_loss: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor


@dataclass(frozen=True)
class PPOLoss:
    """L = policy loss + ent_coef · entropy loss + vf_coef · value loss (Schulman et al., 2017, equations 7 and 9)."""

    clip_range: float
    clip_range_vf: float | None
    ent_coef: float
    vf_coef: float

    def surrogates(self, advantages: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
        """Return A r and A clip(r, 1 - ε, 1 + ε); the policy loss is the negative mean of their minimum."""
        return advantages * ratio, ratio.clamp(1 - self.clip_range, 1 + self.clip_range).mul_(advantages)

    def predictions(self, values: Tensor, old_values: Tensor) -> Tensor:
        """Return the values to compare with returns, clipped by ``clip_range_vf`` if it is set."""
        if self.clip_range_vf is None:
            return values
        return old_values + (values - old_values).clamp_(-self.clip_range_vf, self.clip_range_vf)

    def log_prob_gradient(self, batch: Minibatch) -> Tensor:
        """Return ∂L/∂log π, ``(batch,)``: -A r / batch where the unclipped surrogate is not the larger one, else 0."""
        free, clipped = self.surrogates(batch.advantages, batch.log_ratio.exp())
        return free.mul_(free <= clipped).mul_(-1 / len(free))

    def value_gradient(self, batch: Minibatch) -> Tensor:
        """Return ∂L/∂V, ``(batch,)``."""
        error = self.predictions(batch.values, batch.old_values) - batch.returns
        gradient = error.mul_(2 * self.vf_coef / len(error))
        if self.clip_range_vf is not None:
            gradient.mul_((batch.values - batch.old_values).abs_() <= self.clip_range_vf)
        return gradient

    def total(self, metrics: Metrics) -> float:
        """Return L of the last minibatch."""
        loss = metrics.policy_loss + self.ent_coef * metrics.entropy_loss + self.vf_coef * metrics.value_loss
        return float(loss[-1])


def approx_kl(log_ratio: Tensor) -> Tensor:
    """Return (r - 1) - log r; its mean estimates the KL divergence (http://joschu.net/blog/kl-approx.html)."""
    return log_ratio.exp().sub_(1).sub_(log_ratio)


class Epoch:
    """A pass over the rollout, whose rows are in the order of this pass, so that minibatches are slices.

    Args:
        rows: all rows, with ``advantages`` as used in the loss.
        batch_size: rows per minibatch; the last one may have fewer.
    """

    def __init__(self, rows: Minibatch, batch_size: int) -> None:
        self.rows, self.batch_size, self.n_seen = rows, batch_size, 0

    @classmethod
    def draw(cls, buffer: RolloutBuffer, batch_size: int, normalize_advantage: bool) -> Self:
        """Draw an epoch in the order of SB3's minibatches.

        The buffer draws a permutation for a whole pass from numpy's global generator, as in SB3, and returns all rows in
        that order if asked for a single batch.
        """
        data = next(buffer.get(None))
        advantages = _normalize(data.advantages, batch_size) if normalize_advantage else data.advantages
        rows = Minibatch(
            observations=data.observations.float().flatten(1),
            actions=data.actions,
            old_values=data.old_values,
            old_log_prob=data.old_log_prob,
            advantages=advantages,
            returns=data.returns,
            values=torch.empty_like(advantages),
            log_ratio=torch.empty_like(advantages),
            entropy=torch.empty_like(advantages),
        )
        return cls(rows, batch_size)

    def minibatches(self) -> Iterator[Minibatch]:
        """Yield consecutive slices of the rows."""
        for fields in zip(*(field.split(self.batch_size) for field in self.rows), strict=True):
            self.n_seen += len(fields[0])
            yield Minibatch(*fields)

    def metrics(self, loss: PPOLoss) -> Metrics:
        """Return the metrics of the minibatches seen so far."""
        rows = Minibatch(*(field[: self.n_seen] for field in self.rows))
        ratio = rows.log_ratio.exp()
        by_row = Metrics(
            policy_loss=torch.minimum(*loss.surrogates(rows.advantages, ratio)).neg_(),
            value_loss=(loss.predictions(rows.values, rows.old_values) - rows.returns).square_(),
            entropy_loss=-rows.entropy,
            approx_kl=approx_kl(rows.log_ratio),
            clip_fraction=((ratio - 1).abs_() > loss.clip_range).float(),
        )
        return Metrics(*(_means(metric, self.batch_size) for metric in by_row))


class Updater:
    """Gradient steps on SB3's networks with SB3's optimizer.

    Args:
        policy: a policy accepted by ``why_slow``.
        loss: the loss to minimize.
        max_grad_norm: bound of the gradient's norm.
    """

    def __init__(self, policy: ActorCriticPolicy, loss: PPOLoss, max_grad_norm: float) -> None:
        self._network = ActorCritic(policy)
        self._optimizer = self._network.optimized_by(policy.optimizer)
        self._loss, self._max_grad_norm = loss, max_grad_norm

    def evaluate(self, batch: Minibatch) -> None:
        """Write values, entropies and log-ratios of the current policy into the minibatch."""
        network = self._network
        log_prob, entropy = network.head.evaluate(network.actor(batch.observations), batch.actions)
        torch.sub(log_prob, batch.old_log_prob, out=batch.log_ratio)
        batch.entropy.copy_(entropy)
        batch.values.copy_(network.critic(batch.observations).squeeze(1))

    def step(self, batch: Minibatch) -> None:
        """Take an optimizer step on the last evaluated minibatch."""
        loss, network = self._loss, self._network
        network.actor.backward(network.head.backward(loss.log_prob_gradient(batch), -loss.ent_coef / len(batch.returns)))
        network.critic.backward(loss.value_gradient(batch).unsqueeze(1))
        network.clip_gradient(self._max_grad_norm)
        self._optimizer.step()


def _whole(rows: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Return full minibatches, ``(n, batch_size)``, and the remaining rows."""
    n_rows = len(rows) // batch_size * batch_size
    return rows[:n_rows].view(-1, batch_size), rows[n_rows:]


def _means(rows: Tensor, batch_size: int) -> Tensor:
    whole, rest = _whole(rows, batch_size)
    return torch.cat([whole.mean(1), rest.mean(0, keepdim=True)]) if len(rest) else whole.mean(1)


def _normalize(advantages: Tensor, batch_size: int) -> Tensor:
    """Normalize each minibatch to mean 0 and standard deviation 1; one with a single row is unchanged."""
    whole, rest = _whole(advantages, batch_size)
    parts = []
    if len(whole):
        parts.append((whole - whole.mean(1, keepdim=True)) / (whole.std(1, keepdim=True) + 1e-8))
    if len(rest):
        parts.append((rest - rest.mean()) / (rest.std() + 1e-8) if len(rest) > 1 else rest)
    return torch.cat([part.flatten() for part in parts])
