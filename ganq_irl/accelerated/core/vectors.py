"""Parameters concatenated in a vector, with torch's own parameters as views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

Stack = Sequence[Tensor]
"""Parameters of the same shape, such as the first weights of twin critics."""


class ParameterVector:
    """Parameters and their gradients as two flat vectors, for norms, clipping, Adam and averages in one operation each.

    Args:
        stacks: single parameters, or several of the same shape that are adjacent in memory.

    Attributes:
        parameters: all parameters, in the order of the vector.
        data: their values, ``(n,)``.
        gradient: ∂L/∂data, ``(n,)``.
    """

    def __init__(self, stacks: Iterable[Stack]) -> None:
        stacks = [tuple(stack) for stack in stacks]
        self.parameters = [parameter for stack in stacks for parameter in stack]
        first = self.parameters[0]
        self.data = torch.empty(sum(p.numel() for p in self.parameters), dtype=first.dtype, device=first.device)
        self.gradient = torch.zeros_like(self.data)
        self._pieces = self.pieces(self.data)
        self._pointers = [piece.data_ptr() for piece in self._pieces]
        sizes = [sum(p.numel() for p in stack) for stack in stacks]
        self._starts = {stack[0]: end - size for stack, size, end in zip(stacks, sizes, accumulate(sizes), strict=True)}
        self.adopt()

    def pieces(self, vector: Tensor) -> list[Tensor]:
        """Return views of a vector of the same length, one for each parameter, in its shape."""
        pieces = vector.split([p.numel() for p in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]

    def stack(self, vector: Tensor, stack: Stack) -> Tensor:
        """Return a view of a vector of the same length: a stack, or its first parameters, ``(len(stack), *shape)``."""
        start = self._starts[stack[0]]
        return vector[start : start + len(stack) * stack[0].numel()].view(len(stack), *stack[0].shape)

    def is_shared(self) -> bool:
        """Return whether the parameters are still views of the vector."""
        return all(p.data_ptr() == pointer for p, pointer in zip(self.parameters, self._pointers, strict=True))

    def adopt(self) -> None:
        """Adopt the values of parameters that no longer share memory, and make them views of the vector again."""
        for parameter, piece, pointer in zip(self.parameters, self._pieces, self._pointers, strict=True):
            if parameter.data_ptr() != pointer:
                piece.copy_(parameter.detach())
                parameter.data = piece


def clip_norm(gradient: Tensor, max_norm: float) -> Tensor:
    """Clip a gradient to the norm ``max_norm``, like ``clip_grad_norm_``; return its norm before."""
    norm = torch.linalg.vector_norm(gradient)
    gradient.mul_(torch.clamp_(max_norm / (norm + 1e-6), max=1.0))
    return norm
