"""Multi-layer perceptrons run and differentiated by hand, on numpy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from torch import Tensor, nn

Views = Mapping[Tensor, np.ndarray]
"""Parameters, or their gradients, as arrays."""


class Mlp:
    """Linear layers, each followed by max(x, slope x), but for the last where it says so: ReLU or leaky ReLU.

    Args:
        layers: linear and activation by turns; it ends with either.
        values: of the parameters.
    """

    def __init__(self, layers: Iterable[nn.Module], values: Views) -> None:
        layers = list(layers)
        self._linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self._weights = [values[layer.weight] for layer in self._linear]
        self._biases = [values[layer.bias] for layer in self._linear]
        self._slopes = [slope_of(layer) or 0.0 for layer in layers if not isinstance(layer, nn.Linear)]
        self._outputs: list[np.ndarray] = []

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """``(batch, in) -> (batch, out)``."""
        self._outputs = [rows]
        for number, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            rows = rows @ weight.T
            rows += bias
            if number < len(self._slopes):
                np.maximum(rows, self._slopes[number] * rows if self._slopes[number] else _ZERO, out=rows)
            self._outputs.append(rows)
        return rows

    def backward(self, gradient: np.ndarray, gradients: Views) -> None:
        """Write the gradient of every parameter, for the rows of the last call.

        Args:
            gradient: of the loss with respect to the output, ``(batch, out)``; overwritten.
            gradients: where to.
        """
        ones = np.ones(len(gradient), np.float32)  # a product with them is several times as fast as a sum over rows
        for number in reversed(range(len(self._linear))):
            if number < len(self._slopes):
                _through_activation(gradient, self._outputs[number + 1], self._slopes[number])
            layer = self._linear[number]
            np.matmul(gradient.T, self._outputs[number], out=gradients[layer.weight])
            np.matmul(ones, gradient, out=gradients[layer.bias])
            if number > 0:
                gradient = gradient @ self._weights[number]


def slope_of(activation: nn.Module) -> float | None:
    """The activation's slope below 0; None if it is of another kind."""
    if type(activation) is nn.ReLU:
        return 0.0
    return activation.negative_slope if type(activation) is nn.LeakyReLU else None


def _through_activation(gradient: np.ndarray, output: np.ndarray, slope: float) -> None:
    factor = (output > 0).astype(np.float32)
    if slope:
        factor *= 1 - slope
        factor += slope
    gradient *= factor


_ZERO = np.zeros((), np.float32)  # an array: numpy converts a number at each call
