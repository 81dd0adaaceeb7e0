"""Activations whose derivative is a function of their output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_aten = torch.ops.aten


class Activation(NamedTuple):
    """An activation y = f(x) and its derivative, both in place.

    Attributes:
        forward: ``x -> y``, overwriting x.
        backward: ``(gradient, y) -> gradient · f'(x)``, overwriting the gradient.
    """

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[type[nn.Module], Callable[[Any], Activation]] = {
    nn.Tanh: lambda _: Activation(
        torch.tanh_, lambda gradient, y: _aten.tanh_backward.grad_input(gradient, y, grad_input=gradient)
    ),
    nn.ReLU: lambda _: Activation(
        torch.relu_, lambda gradient, y: _aten.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient)
    ),
    nn.ELU: lambda module: Activation(
        lambda x: functional.elu_(x, module.alpha),
        lambda gradient, y: _aten.elu_backward.grad_input(gradient, module.alpha, 1, 1, True, y, grad_input=gradient),
    ),
    nn.LeakyReLU: lambda module: Activation(
        lambda x: functional.leaky_relu_(x, module.negative_slope),
        lambda gradient, y: _aten.leaky_relu_backward.grad_input(
            gradient, y, module.negative_slope, True, grad_input=gradient
        ),
    ),
}
"""Module class -> function that creates the activation of a module."""
