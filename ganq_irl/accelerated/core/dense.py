"""Forward and backward passes of dense networks without autograd: one network, or several of the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganq_irl.accelerated.core.activations import ACTIVATIONS, Activation
from ganq_irl.accelerated.core.vectors import ParameterVector, Stack

_MAX_SIZES = 8


@dataclass(frozen=True)
class Norm:
    """Layer normalization: scales and offsets of each network, ``(n_networks, width)``, and their gradients."""

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    eps: float


@dataclass(frozen=True)
class Layer:
    """A linear layer, the operations that follow it, and its gradients, which every ``backward`` overwrites.

    Attributes:
        weight: ``(out, in)``, or ``(n_networks, out, in)``.
        bias: ``(out,)``, or ``(n_networks, out)``.
        weight_gradient: like ``weight``.
        bias_gradient: like ``bias``.
        norm: layer normalization before the activation, or None.
        activation: activation, or None, as in the last layer of most networks.
    """

    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor
    norm: Norm | None = None
    activation: Activation | None = None


def stacks_of(networks: Sequence[Sequence[nn.Module]]) -> list[Stack]:
    """Return the parameters of networks of the same shape as stacks for a ``ParameterVector``, layer by layer.

    Args:
        networks: modules of each network, in the order of execution.
    """
    by_layer = zip(*networks, strict=True)
    return [stack for modules in by_layer for stack in zip(*(module.parameters() for module in modules), strict=True)]


def layers_of(networks: Sequence[Sequence[nn.Module]], vector: ParameterVector) -> list[Layer]:
    """Return the layers of networks of the same shape.

    Args:
        networks: modules of each network: linear layers, each followed by at most one LayerNorm and one of ``ACTIVATIONS``.
        vector: a vector that includes ``stacks_of(networks)``.
    """
    layers: list[Layer] = []
    for modules in zip(*networks, strict=True):
        module: Any = modules[0]
        if isinstance(module, nn.Linear):
            layers.append(Layer(**_parameters(modules, vector, squeezed=len(modules) == 1)))
        elif isinstance(module, nn.LayerNorm):
            norm = Norm(**_parameters(modules, vector, squeezed=False), eps=module.eps)
            layers[-1] = _extended(layers[-1], norm=norm)
        else:
            layers[-1] = _extended(layers[-1], activation=ACTIVATIONS[type(module)](module))
    return layers


class Dense:
    """Linear layers with activations between them, of one network or of several side by side.

    It uses parameters without owning them. The outputs of a single network equal those of its modules bit for bit. Inputs,
    outputs and gradients are ``(batch, in)`` for a single network, and ``(n_networks, batch, in)`` for several.

    Args:
        layers: result of ``layers_of``.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)
        self._n_networks = layers[0].weight.shape[:-2]  # () or (n,)
        self._affine: Any = torch.baddbmm if self._n_networks else torch.addmm
        self._product: Any = torch.bmm if self._n_networks else torch.mm
        self._transposed = [layer.weight.transpose(-2, -1) for layer in self._layers]
        self._biases = [layer.bias.unsqueeze(-2) if self._n_networks else layer.bias for layer in self._layers]
        self._scratch = _Scratch([layer.weight.shape[-2] for layer in self._layers], self._n_networks, layers[0].weight)
        self._inputs: list[Tensor] = []  # one per layer
        self._normed: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the outputs of a batch, in memory that the next call overwrites."""
        outputs, _ = self._scratch.of(rows.shape[-2])
        self._inputs = [rows]
        for number, (layer, output) in enumerate(zip(self._layers, outputs, strict=True)):
            rows = self._affine(self._biases[number], rows, self._transposed[number], out=output)
            if layer.norm is not None:
                rows = self._normalize(number, layer.norm, rows)
            if layer.activation is not None:
                rows = layer.activation.forward(rows)
            self._inputs.append(rows)
        return rows

    def backward(self, gradient: Tensor) -> None:
        """Compute the gradient of every parameter for the first rows of the last call.

        Args:
            gradient: gradient of the loss with respect to the outputs of these rows; overwritten.
        """
        for number in reversed(range(len(self._layers))):
            layer = self._layers[number]
            gradient = self._through(number, gradient, learns=True)
            inputs = _first(self._inputs[number], gradient.shape[-2])
            self._product(gradient.transpose(-2, -1), inputs, out=layer.weight_gradient)
            torch.sum(gradient, -2, out=layer.bias_gradient)
            if number > 0:
                gradient = self._product(gradient, layer.weight, out=self._gradient(number - 1, gradient))

    def pull_back(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to the first layer's outputs.

        Multiplied by the first weight, it is the gradient with respect to the inputs.
        If only some inputs are needed, multiply by their columns only. Gradients of parameters are not computed.

        Args:
            gradient: gradient of the loss with respect to the outputs of the first rows of the last call; overwritten.
        """
        for number in reversed(range(1, len(self._layers))):
            gradient = self._through(number, gradient, learns=False)
            gradient = self._product(gradient, self._layers[number].weight, out=self._gradient(number - 1, gradient))
        return self._through(0, gradient, learns=False)

    def _gradient(self, number: int, like: Tensor) -> Tensor:
        return self._scratch.of(like.shape[-2])[1][number]

    def _normalize(self, number: int, norm: Norm, rows: Tensor) -> Tensor:
        """Normalize the rows of each network with its own scales, which torch's kernel cannot do for several networks."""
        kept, outputs = [], []
        for each, weight, bias in zip(_unstacked(rows), norm.weight, norm.bias, strict=True):
            output, mean, rstd = torch.native_layer_norm(each, weight.shape, weight, bias, norm.eps)
            kept.append((each, mean, rstd))
            outputs.append(output)
        self._normed[number] = kept
        return torch.stack(outputs) if self._n_networks else outputs[0]

    def _through(self, number: int, gradient: Tensor, *, learns: bool) -> Tensor:
        """Propagate the gradient of a layer's output through activation and normalization to its matrix product."""
        layer, n_rows = self._layers[number], gradient.shape[-2]
        if layer.activation is not None:
            gradient = layer.activation.backward(gradient, _first(self._inputs[number + 1], n_rows))
        if layer.norm is not None:
            self._through_norm(number, layer.norm, gradient, learns)
        return gradient

    def _through_norm(self, number: int, norm: Norm, gradient: Tensor, learns: bool) -> None:
        n_rows = gradient.shape[-2]
        for network, (of_output, (rows, mean, rstd)) in enumerate(
            zip(_unstacked(gradient), self._normed[number], strict=True)
        ):
            weight, bias = norm.weight[network], norm.bias[network]
            of_rows, of_weight, of_bias = torch.ops.aten.native_layer_norm_backward(
                of_output, rows[:n_rows], weight.shape, mean[:n_rows], rstd[:n_rows], weight, bias, [True, learns, learns]
            )
            of_output.copy_(of_rows)
            if learns:
                norm.weight_gradient[network], norm.bias_gradient[network] = of_weight, of_bias


class _Scratch:
    """Memory for the outputs of layers and their gradients, shared by batches of all sizes."""

    def __init__(self, widths: Sequence[int], leading: Sequence[int], like: Tensor) -> None:
        self._widths, self._leading, self._like = widths, tuple(leading), like
        self._n_rows = 0
        self._by_size: dict[int, tuple[list[Tensor], list[Tensor]]] = {}

    def of(self, n_rows: int) -> tuple[list[Tensor], list[Tensor]]:
        """Return for each layer its outputs ``(..., n_rows, width)``, and memory for their gradients."""
        found = self._by_size.get(n_rows)
        return found if found is not None else self._cut(n_rows)

    def _cut(self, n_rows: int) -> tuple[list[Tensor], list[Tensor]]:
        if n_rows > self._n_rows or len(self._by_size) == _MAX_SIZES:
            self._by_size.clear()  # only the views: their memory is kept, unless it is too small
        if n_rows > self._n_rows:
            self._n_rows, n_networks = n_rows, sum(self._leading) or 1
            self._memory = [[self._like.new_empty(n_rows * width * n_networks) for width in self._widths] for _ in range(2)]
        shapes = [(*self._leading, n_rows, width) for width in self._widths]
        outputs, gradients = (
            [memory[: torch.Size(shape).numel()].view(shape) for memory, shape in zip(part, shapes, strict=True)]
            for part in self._memory
        )
        self._by_size[n_rows] = outputs, gradients
        return outputs, gradients


def _parameters(modules: Sequence[nn.Module], vector: ParameterVector, *, squeezed: bool) -> dict[str, Any]:
    """Return weight, bias and their gradients of parallel modules, ``(n, *shape)``, or ``shape`` for a single one."""
    views = {}
    for name in ("weight", "bias"):
        stack = [getattr(module, name) for module in modules]
        views[name], views[f"{name}_gradient"] = (vector.stack(part, stack) for part in (vector.data, vector.gradient))
    return {name: view.squeeze(0) if squeezed else view for name, view in views.items()}


def _extended(layer: Layer, **changes: Any) -> Layer:
    return Layer(**(vars(layer) | changes))


def _first(rows: Tensor, n_rows: int) -> Tensor:
    """Return the first rows of a batch. A whole batch is not sliced, which would cost as much as a small activation."""
    return rows if rows.shape[-2] == n_rows else rows[..., :n_rows, :]


def _unstacked(rows: Tensor) -> Sequence[Tensor]:
    return rows.unbind(0) if rows.ndim == 3 else (rows,)
