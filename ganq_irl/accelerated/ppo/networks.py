"""Multi-layer perceptrons run and differentiated by hand: a third of autograd's time at the sizes that PPO uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_aten = torch.ops.aten

# In place, as the input is ours; and its derivative from its *output* y: (gradient, y) -> gradient · f'(x).
_Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]

ACTIVATIONS: dict[type[nn.Module], Callable[[Any], _Pair]] = {
    nn.Tanh: lambda _: (torch.tanh_, _aten.tanh_backward),
    nn.ReLU: lambda _: (torch.relu_, lambda gradient, y: _aten.threshold_backward(gradient, y, 0)),
    nn.ELU: lambda module: (
        lambda x: functional.elu_(x, module.alpha),
        lambda gradient, y: _aten.elu_backward(gradient, module.alpha, 1, 1, True, y),
    ),
    nn.LeakyReLU: lambda module: (
        lambda x: functional.leaky_relu_(x, module.negative_slope),
        lambda gradient, y: _aten.leaky_relu_backward(gradient, y, module.negative_slope, True),
    ),
}
"""Activations whose derivative is a function of their output, by module class."""


class Mlp:
    """Linear layers with activations between them; it reads the parameters of the modules it was made of, and owns none.

    Everything runs under ``torch.no_grad``. Outputs are bit for bit those of the modules.

    Args:
        modules: linear, activation, linear, ..., linear; the activations are of ``ACTIVATIONS``.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._layers: list[Any] = list(modules[::2])
        self._activations = [ACTIVATIONS[type(module)](module) for module in modules[1::2]]
        self._inputs: list[Tensor] = []

    def __call__(self, rows: Tensor) -> Tensor:
        """``(batch, in) -> (batch, out)``."""
        self._inputs = [rows]  # of each layer; the outputs of activations, which is what their derivatives take
        for layer, (activation, _) in zip(self._layers[:-1], self._activations, strict=True):
            self._inputs.append(activation(functional.linear(self._inputs[-1], layer.weight, layer.bias)))
        return functional.linear(self._inputs[-1], self._layers[-1].weight, self._layers[-1].bias)

    def backward(self, gradient: Tensor) -> None:
        """Write the gradient of every parameter into its ``.grad``, for the rows of the last call.

        Args:
            gradient: of the loss with respect to the output, ``(batch, out)``.
        """
        for number in reversed(range(len(self._layers))):
            weight, bias = self._layers[number].weight, self._layers[number].bias
            torch.mm(gradient.t(), self._inputs[number], out=weight.grad)
            torch.sum(gradient, 0, out=bias.grad)
            if number > 0:
                gradient = self._activations[number - 1][1](torch.mm(gradient, weight), self._inputs[number])


def gradients_in_one_vector(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Make the ``.grad`` of every parameter a piece of one vector, so that norm and clipping are one operation each."""
    parameters = list(parameters)
    vector = parameters[0].new_zeros(sum(map(torch.numel, parameters)), requires_grad=False)
    for parameter, piece in zip(parameters, vector.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = piece.view_as(parameter)
    return vector
