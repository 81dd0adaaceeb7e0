"""Layers that use more than one row of a batch, with a well-defined output for a single row in evaluation mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Minibatch discrimination: append how close each row is to the rest of its batch (Salimans et al., 2016, section 3.2).

    With M_i = T x_i reshaped to (kernels, kernel_dim): o_b(x_i) = mean over j != i of exp(-||M_i,b - M_j,b||_1). The paper
    sums; the mean makes the scale independent of the batch size, which evaluation needs.

    In evaluation mode rows are compared with ``reference``, rows of the last training batch, and never with each other.
    The learner scores fake rows last, so the reference rows are fake.
    """

    reference: Tensor

    def __init__(self, in_features: int, kernels: int = 8, kernel_dim: int = 4, n_reference: int = 64) -> None:
        super().__init__()
        self.kernels, self.kernel_dim = kernels, kernel_dim
        self.project = nn.Linear(in_features, kernels * kernel_dim, bias=False)
        self.register_buffer("reference", torch.zeros(n_reference, kernels, kernel_dim))

    @property
    def out_features(self) -> int:
        """Width of the output, with the closeness features."""
        return self.project.in_features + self.kernels

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_features) -> (batch, in_features + kernels)``."""
        rows = self.project(x).view(-1, self.kernels, self.kernel_dim)
        if self.training:
            closeness = _closeness(rows, rows)  # (batch, batch, kernels)
            others = max(len(rows) - 1, 1)
            feature = (closeness.sum(dim=1) - 1) / others  # minus each row's closeness to itself, exp(0)
            self._remember(rows.detach())
        else:
            feature = _closeness(rows, self.reference).mean(dim=1)
        return torch.cat([x, feature], dim=1)

    def _remember(self, rows: Tensor) -> None:
        index = torch.arange(len(self.reference), device=rows.device) % len(rows)
        self.reference.copy_(rows[index])


def _closeness(rows: Tensor, others: Tensor) -> Tensor:
    """exp(-L1 distance), ``(batch, kernels, dim), (n, kernels, dim) -> (batch, n, kernels)``."""
    return torch.exp(-(rows.unsqueeze(1) - others.unsqueeze(0)).abs().sum(dim=3))


class VirtualBatchNorm(nn.Module):
    """Virtual batch normalization by a fixed reference batch and the row itself (Salimans et al., 2016, section 3.5).

    The reference passes through the network as the first ``n_reference`` rows of every input, so its activations always
    belong to the current weights. Its rows are normalized by the reference alone. No row depends on the other rows of its
    batch, in training or in evaluation.
    """

    def __init__(self, features: int, n_reference: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.n_reference, self.eps = n_reference, eps
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n_reference + batch, features)``, reference rows first, to the same shape."""
        own = x.new_full((x.shape[0], 1), 1.0 / (self.n_reference + 1))  # weight of the row itself
        own[: self.n_reference] = 0.0
        reference = x[: self.n_reference]
        mean = own * x + (1 - own) * reference.mean(dim=0)
        square = own * x**2 + (1 - own) * (reference**2).mean(dim=0)
        variance = (square - mean**2).clamp_min(0)
        return (x - mean) / torch.sqrt(variance + self.eps) * self.weight + self.bias
