"""Parameters and Adam as flat numpy vectors: at the sizes of value learners, what costs is the number of calls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import sqrt

import numpy as np
import torch
from torch import Tensor


class Vector:
    """A copy of tensors, end to end in one vector.

    Args:
        tensors: float32, on the CPU.

    Attributes:
        data: the vector.
        views: of each tensor, the piece of the vector that stands for it, in the tensor's shape.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._arrays = [tensor.detach().numpy() for tensor in tensors]  # the tensors' own memory
        self.data = np.concatenate([array.reshape(-1) for array in self._arrays])
        self.views = pieces(self.data, tensors)

    def store(self) -> None:
        """Write the vector into the tensors."""
        for array, piece in zip(self._arrays, self.views.values(), strict=True):
            np.copyto(array, piece)


def pieces(vector: np.ndarray, tensors: Sequence[Tensor]) -> dict[Tensor, np.ndarray]:
    """Views of a vector, one for each tensor and in its shape."""
    ends = accumulate(tensor.numel() for tensor in tensors)
    return {
        tensor: vector[end - tensor.numel() : end].reshape(tensor.shape) for tensor, end in zip(tensors, ends, strict=True)
    }


class FlatAdam:
    """One ``torch.optim.Adam`` on vectors (Kingma & Ba, 2015, algorithm 1); ``store`` hands back what it changed.

    Args:
        optimizer: with one group of parameters.
        parameters: those of them that learn, which have all taken the same number of steps.
        max_grad_norm: bound on the gradient's norm; None for no bound.

    Attributes:
        parameters: θ.
        gradients: ∂L/∂θ as views, one for each parameter, which are to be written before each step.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], max_grad_norm: float | None) -> None:
        (group,) = optimizer.param_groups
        self._rate, (self._beta1, self._beta2), self._eps = float(group["lr"]), group["betas"], group["eps"]
        self._max_grad_norm = max_grad_norm
        states = [_state(optimizer, parameter) for parameter in parameters]
        self._counts = [state["step"] for state in states]
        self._n_steps = int(self._counts[0])
        self.parameters = Vector(parameters)
        self._gradient = np.zeros_like(self.parameters.data)
        self.gradients = pieces(self._gradient, parameters)
        self._mean = Vector([state["exp_avg"] for state in states])
        self._square = Vector([state["exp_avg_sq"] for state in states])

    def step(self) -> float:
        """One step on the gradient, clipped as ``clip_grad_norm_`` does it; its norm before that."""
        gradient, mean, square = self._gradient, self._mean.data, self._square.data
        norm = sqrt(np.dot(gradient, gradient))
        if self._max_grad_norm is not None and not norm + 1e-6 <= self._max_grad_norm:  # NaN spreads, as in torch
            gradient *= self._max_grad_norm / (norm + 1e-6)
        self._n_steps += 1
        mean *= self._beta1
        mean += (1 - self._beta1) * gradient
        square *= self._beta2
        gradient *= gradient
        gradient *= 1 - self._beta2
        square += gradient
        scale = np.sqrt(square, out=gradient)
        scale /= sqrt(1 - self._beta2**self._n_steps)
        scale += self._eps
        step = np.divide(mean, scale, out=scale)
        step *= self._rate / (1 - self._beta1**self._n_steps)
        self.parameters.data -= step
        return norm

    def store(self) -> None:
        """Write parameters, moments and the number of steps into torch's own."""
        for vector in (self.parameters, self._mean, self._square):
            vector.store()
        for count in self._counts:
            count.fill_(self._n_steps)


def _state(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Adam's state of a parameter, begun as Adam itself begins it."""
    state = optimizer.state[parameter]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    return state
