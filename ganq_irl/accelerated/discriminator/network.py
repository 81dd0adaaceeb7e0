"""A network of one score, with the gradient of a loss and of a gradient penalty written out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ganq_irl.accelerated.core import Dense


class Penalty(NamedTuple):
    """scale · mean (‖∂D/∂x‖ - center)² over some rows."""

    scale: float
    center: float
    rows: slice


class ScoreNetwork(Dense):
    """D(x) of one network that is piecewise linear: linear layers, with ReLU or leaky ReLU between them.

    Two facts make one backward pass enough for the loss and the penalty. D has a single output, so that the gradient of the
    loss at a row's layer is ∂L/∂D times δ, the gradient of D there. And the activations have no second derivative, so that
    the gradient of a directional derivative v · ∂D/∂x with respect to a layer's weight is the outer product of the same δ
    and v, pushed forward to the layer's inputs. With v = ∂P/∂(∂D/∂x) that is the gradient of the penalty.
    """

    def scores(self, rows: Tensor) -> Tensor:
        """``(batch, in) -> (batch,)``, in memory that the next call overwrites."""
        return self(rows).squeeze(1)

    def descend_from(self, of_scores: Tensor, penalty: Penalty | None) -> Tensor | None:
        """Write the gradient of every parameter for the last call; return the penalty, or None without one.

        Args:
            of_scores: ∂L/∂D, ``(batch,)``.
            penalty: added to the loss.
        """
        deltas = self._deltas(of_scores)
        value, pushed = (None, None) if penalty is None else self._pushed(penalty, deltas)
        weights = of_scores.unsqueeze(1)
        for number, layer in enumerate(self._layers):
            inputs = torch.mul(self._inputs[number], weights)
            if penalty is not None and pushed is not None:
                inputs[penalty.rows] += pushed[number]
            delta = deltas[number].t()
            torch.mm(delta, inputs, out=layer.weight_gradient)
            torch.mv(delta, of_scores, out=layer.bias_gradient)
        return value

    def _deltas(self, like: Tensor) -> list[Tensor]:
        """∂D/∂(product) of each layer, ``(batch, width)``."""
        deltas = [like.new_ones(len(like), 1)]
        for number in reversed(range(1, len(self._layers))):
            delta = torch.mm(deltas[0], self._layers[number].weight, out=self._gradient(number - 1, deltas[0]))
            deltas.insert(0, self._through(number - 1, delta, learns=False))
        return deltas

    def _pushed(self, penalty: Penalty, deltas: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The penalty, and the direction ∂P/∂(∂D/∂x) at each layer's inputs."""
        slopes = deltas[0][penalty.rows] @ self._layers[0].weight
        # as gradient_norms of ganq_irl.discriminator.penalties, which keeps the root differentiable at 0
        norms = slopes.square().sum(1).add_(1e-12).sqrt_()
        errors = norms - penalty.center
        direction = slopes.mul_((errors / norms).mul_(2 * penalty.scale / len(norms)).unsqueeze(1))
        pushed = [direction]
        for number, layer in enumerate(self._layers[:-1]):
            direction = torch.mm(direction, layer.weight.t())
            if layer.activation is not None:
                direction = layer.activation.backward(direction, self._inputs[number + 1][penalty.rows])
            pushed.append(direction)
        return errors.square_().mean().mul_(penalty.scale), pushed
