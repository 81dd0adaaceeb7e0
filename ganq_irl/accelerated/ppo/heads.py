"""Action distributions without autograd: SB3's samples bit for bit, log-probabilities, entropies, and their gradients."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn


class Head(Protocol):
    """Interface of the distribution after the actor's last layer."""

    def sample(self, output: Tensor) -> Tensor:
        """Sample actions ``(batch, n)`` from torch's global generator, as SB3 does."""

    def evaluate(self, output: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π(a|s), ``(batch,)``, and the entropy, ``(batch,)`` or a scalar."""

    def backward(self, log_prob_gradient: Tensor, entropy_gradient: float) -> Tensor:
        """Return the gradient with respect to the output of the last ``evaluate``; that of own parameters goes to ``.grad``.

        Args:
            log_prob_gradient: gradient of the loss with respect to each log-probability, ``(batch,)``.
            entropy_gradient: gradient of the loss with respect to the entropy of one row, equal for all.
        """


class CategoricalHead:
    """Softmax over logits ``(batch, n_actions)``; actions are integers ``(batch, 1)``."""

    def sample(self, output: Tensor) -> Tensor:
        """Sample with the exponential race, like ``torch.multinomial``, but without its checks."""
        normalized = output - output.logsumexp(1, keepdim=True)  # as in SB3, since rounding decides ties
        probs = torch.softmax(normalized, 1)
        race = torch.empty_like(probs).exponential_()
        return torch.div(probs, race, out=race).argmax(1, keepdim=True)

    def evaluate(self, output: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return log softmax at the actions, and -Σ p log p."""
        self._actions = actions.long()
        self._log_probs = torch.log_softmax(output, 1)
        self._probs = self._log_probs.exp()
        self._entropy = (self._probs * self._log_probs).sum(1).neg_()
        return self._log_probs.gather(1, self._actions).squeeze(1), self._entropy

    def backward(self, log_prob_gradient: Tensor, entropy_gradient: float) -> Tensor:
        """∂log π(a)/∂logit_k = [k = a] - p_k; ∂H/∂logit_k = -p_k (log p_k + H)."""
        gradient = log_prob_gradient.unsqueeze(1)
        logits = -self._probs * gradient
        if entropy_gradient:
            surprise = self._log_probs + self._entropy.unsqueeze(1)
            logits -= entropy_gradient * surprise.mul_(self._probs)
        return logits.scatter_add_(1, self._actions, gradient)


class GaussianHead:
    """Independent normal distributions with means ``(batch, n)``, and one log standard deviation per coordinate."""

    def __init__(self, log_std: nn.Parameter, gradient: Tensor) -> None:
        self._log_std, self._gradient = log_std, gradient

    def sample(self, output: Tensor) -> Tensor:
        """Return mean + ε σ, with the same ε as SB3, which samples with ``torch.normal`` of zeros and ones."""
        return torch.randn_like(output).mul_(self._log_std.exp()).add_(output)

    def evaluate(self, output: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return -½ Σ (z² + log 2π) - Σ log σ, with z = (a - mean) / σ, and ½ Σ (1 + log 2π) + Σ log σ."""
        self._std = self._log_std.exp()
        self._z = (actions - output).div_(self._std)
        self._z_squared = self._z.square()
        sum_log_std, n = self._log_std.sum(), len(self._log_std)
        log_prob = self._z_squared.sum(1).mul_(-0.5).sub_(sum_log_std + 0.5 * n * math.log(2 * math.pi))
        return log_prob, sum_log_std + 0.5 * n * (1 + math.log(2 * math.pi))

    def backward(self, log_prob_gradient: Tensor, entropy_gradient: float) -> Tensor:
        """∂log π/∂mean = z / σ; ∂log π/∂log σ = z² - 1; ∂H/∂log σ = 1."""
        gradient = log_prob_gradient.unsqueeze(1)
        log_std = self._z_squared.sub_(1).mul_(gradient).sum(0)
        torch.add(log_std, entropy_gradient * len(gradient), out=self._gradient)
        return self._z.div_(self._std).mul_(gradient)
