"""Adam on a single vector, with its state shared with torch's optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganq_irl.accelerated.core.vectors import ParameterVector


class FlatAdam:
    """``torch.optim.Adam`` on a ``ParameterVector`` (Kingma & Ba, 2015, algorithm 1) in one fused operation per step.

    The optimizer's state becomes views of the vectors here, so that it can be saved, loaded, and stepped at any time.

    Args:
        optimizer: an optimizer of the vector's parameters that ``reasons_of_optimizer`` accepts.
        vector: parameters with equal numbers of steps.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, vector: ParameterVector) -> None:
        self.optimizer, self._vector = optimizer, vector
        self._mean, self._square = torch.zeros_like(vector.data), torch.zeros_like(vector.data)
        self._steps = torch.zeros(len(vector.parameters), dtype=torch.float32, device=vector.data.device)
        # One parameter at a time instead of whole vectors: torch's kernel rounds the last few entries of a tensor
        # differently. In this way, all numbers equal those of torch.optim.Adam(fused=True).
        self._pieces = [vector.pieces(each) for each in (vector.data, vector.gradient, self._mean, self._square)]
        self._counts = list(self._steps.unbind())
        self._states: list[dict[str, Tensor]] = [
            {"step": step, "exp_avg": mean, "exp_avg_sq": square}
            for step, mean, square in zip(self._counts, *self._pieces[2:], strict=True)
        ]
        self.adopt()

    def adopt(self) -> None:
        """Adopt parameters and state that were replaced, for example by loading."""
        self._vector.adopt()
        state: Any = self.optimizer.state
        for parameter, own in zip(self._vector.parameters, self._states, strict=True):
            given = state.get(parameter, {})
            if given is own:
                continue
            for name, tensor in own.items():
                if given.get(name) is not tensor:
                    tensor.copy_(given[name]) if name in given else tensor.zero_()
            state[parameter] = own

    def step(self) -> None:
        """Update the parameters with ``vector.gradient``, at the optimizer's current learning rate."""
        (group,) = self.optimizer.param_groups
        beta1, beta2 = group["betas"]
        self._steps.add_(1)
        parameters, gradients, means, squares = self._pieces
        torch._fused_adam_(
            parameters,
            gradients,
            means,
            squares,
            [],
            self._counts,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
