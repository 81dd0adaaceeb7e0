"""Adam on one vector, with its state shared with torch's optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganq_irl.accelerated.core.vectors import ParameterVector


class FlatAdam:
    """``torch.optim.Adam`` on a ``ParameterVector`` (Kingma & Ba, 2015, algorithm 1) by one fused operation a step.

    The optimizer's own state becomes views of the vectors here: it can be saved, loaded, and stepped at any time.

    Args:
        optimizer: one that ``reasons_of_optimizer`` has nothing against, for the parameters of the vector.
        vector: parameters that have all taken the same number of steps.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, vector: ParameterVector) -> None:
        self._optimizer, self._vector = optimizer, vector
        self._mean, self._square = torch.zeros_like(vector.data), torch.zeros_like(vector.data)
        self._steps = torch.zeros(len(vector.parameters), dtype=torch.float32, device=vector.data.device)
        # Parameter by parameter, not the vectors as a whole: torch's kernel rounds the last few entries of a tensor
        # in another way, and this way every number is the one that torch.optim.Adam(fused=True) gives.
        self._pieces = [vector.pieces(each) for each in (vector.data, vector.gradient, self._mean, self._square)]
        self._counts = list(self._steps.unbind())
        self._states: list[dict[str, Tensor]] = [
            {"step": step, "exp_avg": mean, "exp_avg_sq": square}
            for step, mean, square in zip(self._counts, *self._pieces[2:], strict=True)
        ]
        self.adopt()

    def adopt(self) -> None:
        """Take over parameters and state that somebody has replaced, such as by loading them."""
        self._vector.adopt()
        state: Any = self._optimizer.state
        for parameter, own in zip(self._vector.parameters, self._states, strict=True):
            given = state.get(parameter, {})
            for name, tensor in own.items():
                if given.get(name) is not tensor:
                    tensor.copy_(given[name]) if name in given else tensor.zero_()
            if given is not own:
                state[parameter] = own

    def step(self) -> None:
        """Move the parameters against ``vector.gradient``, at the optimizer's present learning rate."""
        (group,) = self._optimizer.param_groups
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
