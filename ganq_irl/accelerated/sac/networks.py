"""Critics and actors of SAC and TD3 without autograd. They share the parameters of SB3's modules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import Tensor, nn

from ganq_irl.accelerated.core import Dense, Layer, ParameterVector, layers_of, stacks_of

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Critics:
    """Q(s, a) of one or more critics.

    Args:
        networks: layers of each critic.
        vector: vector of their parameters.
    """

    def __init__(self, networks: Sequence[nn.Sequential], vector: ParameterVector) -> None:
        layers = layers_of([list(network) for network in networks], vector)
        self._n, self._network, self._first = len(networks), Dense(layers), layers[0].weight
        self._rows = vector.data.new_empty(0, 0)
        self._n_actions = 0

    def __call__(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Return Q ``(n_critics, batch)`` at ``(batch, n)`` and ``(batch, n_actions)``; overwritten by the next call."""
        n_observations, self._n_actions = observations.shape[1], actions.shape[1]
        shape = len(observations), n_observations + self._n_actions
        if self._rows.shape != shape:
            self._rows = self._rows.new_empty(shape)
        self._rows[:, :n_observations].copy_(observations)
        return self.of_other_actions(actions)

    def of_other_actions(self, actions: Tensor) -> Tensor:
        """Return the values of other actions at the observations of the last call."""
        rows = self._rows
        rows[:, -self._n_actions :].copy_(actions)
        return self._network(rows if self._n == 1 else rows.expand(self._n, *rows.shape)).view(self._n, -1)

    def backward(self, gradient: Tensor) -> None:
        """Compute the gradient of every parameter from ∂L/∂Q of the last call, ``(n_critics, batch)``."""
        self._network.backward(self._column(gradient))

    def action_gradient(self, gradient: Tensor) -> Tensor:
        """Return ∂L/∂a, ``(batch, n_actions)``, from ∂L/∂Q of the last call, ``(n_critics, batch)``."""
        pulled = self._network.pull_back(self._column(gradient))
        weight = self._first[..., -self._n_actions :]
        if self._n == 1:
            return pulled @ weight
        # (n, n_actions, width) x (n, width, batch): four times as fast as the product in the other order
        return torch.bmm(weight.transpose(1, 2).contiguous(), pulled.transpose(1, 2)).sum(0).t()

    def _column(self, gradient: Tensor) -> Tensor:
        return gradient.view(-1, 1) if self._n == 1 else gradient.unsqueeze(2)


class Draw(NamedTuple):
    """Actions of a Gaussian actor, and the values that its gradient needs.

    Attributes:
        actions: in [-1, 1], ``(batch, n_actions)``.
        log_probs: their log-densities, ``(batch,)``.
        noise: ε, standard normal.
        std: σ.
        is_free: whether log σ is within SB3's bounds.
    """

    actions: Tensor
    log_probs: Tensor
    noise: Tensor
    std: Tensor
    is_free: Tensor


class GaussianActor:
    """SAC's actor: a = tanh(μ(s) + σ(s) ε) (Haarnoja et al., 2018, appendix C).

    Args:
        actor: actor of SB3.
    """

    def __init__(self, actor: Any) -> None:
        body, heads = [list(actor.latent_pi)], [[actor.mu], [actor.log_std]]
        self.vector = ParameterVector([*stacks_of(body), *stacks_of(heads)])
        self._network = Dense([*layers_of(body, self.vector), _as_one(*layers_of(heads, self.vector))])
        self._epsilon = actor.action_dist.epsilon

    def act(self, observations: Tensor) -> Tensor:
        """Sample actions for observations ``(batch, n)`` from torch's global generator, as SB3 does."""
        mean, log_std = self._network(observations.to(self.vector.data.dtype)).chunk(2, 1)
        return torch.empty_like(mean).normal_().mul_(log_std.clamp(LOG_STD_MIN, LOG_STD_MAX).exp_()).add_(mean).tanh_()

    def draw(self, *observations: Tensor) -> Draw:
        """Like ``act``, for one or more batches of the same size, in order."""
        rows = torch.cat(observations) if len(observations) > 1 else observations[0]
        mean, log_std = self._network(rows.to(self.vector.data.dtype)).chunk(2, 1)
        noise = torch.empty_like(mean)
        for part in noise.chunk(len(observations)):
            part.normal_()
        is_free = (log_std >= LOG_STD_MIN) & (log_std <= LOG_STD_MAX)
        log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        std = log_std.exp()
        actions = torch.addcmul(mean, noise, std).tanh_()
        # log N(ε) - log σ - log(1 - a²), summed over coordinates
        log_probs = torch.addcmul(log_std, noise, noise, value=0.5).add_(self._slopes(actions).add_(self._epsilon).log_())
        return Draw(actions, log_probs.sum(1).neg_().sub_(mean.shape[1] * _HALF_LOG_TWO_PI), noise, std, is_free)

    def backward(self, draw: Draw, of_actions: Tensor, of_log_probs: Tensor) -> None:
        """Compute the gradient of every parameter for the first rows of the last draw.

        Args:
            draw: the last draw.
            of_actions: ∂L/∂a, ``(batch, n_actions)``, without the part through the log-density.
            of_log_probs: ∂L/∂log π of each row, the same for all.
        """
        _, noise, std, is_free = (field[: len(of_actions)] for field in (draw.log_probs, draw.noise, draw.std, draw.is_free))
        actions = draw.actions[: len(of_actions)]
        slopes = self._slopes(actions)
        # ∂log π/∂a = 2a / (1 - a² + ε)
        of_mean = torch.div(actions, slopes + self._epsilon).mul_(2 * of_log_probs).add_(of_actions).mul_(slopes)
        of_log_std = torch.mul(noise, std).mul_(of_mean).sub_(of_log_probs).mul_(is_free)
        self._network.backward(torch.cat([of_mean, of_log_std], 1))

    @staticmethod
    def _slopes(actions: Tensor) -> Tensor:
        """Return the derivative of tanh, 1 - a²."""
        return actions.square().neg_().add_(1)


class DeterministicActor:
    """TD3's actor: a = tanh(f(s)).

    Args:
        actor: actor of SB3.
    """

    def __init__(self, actor: Any) -> None:
        networks = [list(actor.mu)]
        self.vector = ParameterVector(stacks_of(networks))
        self._network = Dense(layers_of(networks, self.vector))

    def act(self, observations: Tensor) -> Tensor:
        """Map ``(batch, n)`` to ``(batch, n_actions)``, in memory that the next call overwrites."""
        return self._network(observations.to(self.vector.data.dtype))

    def backward(self, of_actions: Tensor) -> None:
        """Compute the gradient of every parameter from ∂L/∂a of the last call."""
        self._network.backward(of_actions)


def _as_one(heads: Layer) -> Layer:
    """Merge two linear layers on the same rows into one of twice the width."""
    return Layer(
        weight=heads.weight.flatten(0, 1),
        bias=heads.bias.flatten(),
        weight_gradient=heads.weight_gradient.flatten(0, 1),
        bias_gradient=heads.bias_gradient.flatten(),
    )
