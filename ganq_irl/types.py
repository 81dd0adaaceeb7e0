"""The batch type that all packages share."""

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
    """Transitions on one device, with time and environment axes merged into ``batch``.

    Attributes:
        observations: raw (not normalized) observations, ``(batch, *observation_shape)`` or a dict of them.
        actions: *executed* actions as the environment takes them (clipped, unscaled), ``(batch, *action_shape)``, or
            integers ``(batch,)`` for a Discrete space.
        next_observations: observations after the action; at the end of an episode the terminal one, never that of the reset.
        dones: ``(batch,)`` float32, 1 only for true termination; a time limit is not termination.
        returns: ``(batch,)`` or ``(batch, n_returns)`` return samples x of each (s, a), for the GAN-Q critic.
        log_probs: ``(batch,)`` log π(a|s) of the generator's current policy, for AIRL.
        absorbing: ``(batch,)`` float32, 1 if the row is the transition of the absorbing state to itself, whose other fields
            have no meaning; None if there are no such rows.

    Example:
        >>> len(batch), batch.observations.shape
        (64, torch.Size([64, 4]))
        >>> [len(part) for part in batch.minibatches(40)]
        [40, 24]
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
        """Device of the tensors."""
        return self.dones.device

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Apply ``function`` to every tensor of the batch."""
        values: dict[str, Any] = {field.name: mapped(function, getattr(self, field.name)) for field in fields(self)}
        return Batch(**values)

    def __getitem__(self, index: Tensor | slice) -> Batch:
        """Select rows by an index tensor or a slice."""
        return self.map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Batch:
        """Move the batch to ``device``."""
        return self.map(lambda tensor: tensor.to(device))

    def minibatches(self, size: int) -> Iterator[Batch]:
        """Iterate over consecutive slices of at most ``size`` rows."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    @staticmethod
    def cat(batches: Sequence[Batch]) -> Batch:
        """Concatenate batches; a field must be present in all of them or in none."""
        joined: dict[str, Any] = {f.name: cat([getattr(batch, f.name) for batch in batches]) for f in fields(Batch)}
        return Batch(**joined)


def shares_condition(one: Batch, other: Batch) -> bool:
    """Return whether two batches share the same tensor objects, except for their returns."""
    return all(getattr(one, f.name) is getattr(other, f.name) for f in fields(Batch) if f.name != "returns")


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply ``function`` to a tensor or array, or to each value of a dict; None stays None."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {key: function(each) for key, each in value.items()}
    return function(value)


def to_float32(tensor: Tensor) -> Tensor:
    """Return float64 as float32, which networks compute in, and any other dtype unchanged."""
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def cat(values: Sequence[Any]) -> Any:
    """Concatenate tensors, or dicts of tensors, along the batch axis; return None if all are None."""
    if values[0] is None:
        assert all(value is None for value in values), "a field is absent in some batches and present in others"
        return None
    if isinstance(values[0], dict):
        return {key: torch.cat([value[key] for value in values]) for key in values[0]}
    return torch.cat(list(values))
