"""The one batch type that every room passes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

Observations = Tensor | dict[str, Tensor]
"""Raw observations: ``(batch, *shape)``, or one such tensor for each key of a Dict space."""


@dataclass(frozen=True)
class Batch:
    """Transitions on one device, time and environment axes already merged into ``batch``.

    Attributes:
        observations: raw (not normalised) observations, ``(batch, *observation_shape)`` or a dict of them.
        actions: *executed* actions as the environment takes them (clipped, unscaled), ``(batch, *action_shape)``;
            ``(batch,)`` of integers for a Discrete space.
        next_observations: observation after the action; at an episode's end the terminal one, never the reset's.
        dones: ``(batch,)`` float32, 1 only for true termination; a time limit is not termination.
        returns: ``(batch,)`` or ``(batch, n_returns)`` return samples x of each (s, a), for the GAN-Q critic.
        log_probs: ``(batch,)`` log π(a|s) of the generator's current policy, for AIRL.
        absorbing: ``(batch,)`` float32, 1 where the row is the absorbing state's transition to itself, which is all that is
            known of it; None where no row is.
    """

    observations: Observations
    actions: Tensor
    next_observations: Observations
    dones: Tensor
    returns: Tensor | None = None
    log_probs: Tensor | None = None
    absorbing: Tensor | None = None

    def __len__(self) -> int:
        """Number of transitions."""
        return self.dones.shape[0]

    @property
    def device(self) -> torch.device:
        """Device that the tensors lie on."""
        return self.dones.device

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """A batch with ``function`` applied to every tensor that is present."""
        values: dict[str, Any] = {field.name: mapped(function, getattr(self, field.name)) for field in fields(self)}
        return Batch(**values)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """Rows chosen by an index tensor or a slice."""
        return self.map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``."""
        return self.map(lambda tensor: tensor.to(device))

    def minibatches(self, size: int) -> Iterator[Batch]:
        """Consecutive slices of at most ``size`` rows."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    @staticmethod
    def cat(batches: Sequence[Batch]) -> Batch:
        """Concatenate batches along the batch axis; a field absent in one must be absent in all."""
        joined: dict[str, Any] = {f.name: cat([getattr(batch, f.name) for batch in batches]) for f in fields(Batch)}
        return Batch(**joined)


def shares_condition(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same but for their returns: not equal, the very same tensors."""
    return all(getattr(one, f.name) is getattr(other, f.name) for f in fields(Batch) if f.name != "returns")


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """``function`` of a tensor or array, or of each in a dict of them; None stays None."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {key: function(each) for key, each in value.items()}
    return function(value)


def cat(values: Sequence[Any]) -> Any:
    """Tensors, or dicts of them, joined along the batch axis; None where all are None."""
    if values[0] is None:
        assert all(value is None for value in values), "a field is absent in some batches and present in others"
        return None
    if isinstance(values[0], dict):
        return {key: torch.cat([value[key] for value in values]) for key in values[0]}
    return torch.cat(list(values))
