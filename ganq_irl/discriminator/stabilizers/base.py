"""Base class for stabilizers. Each hook is called at one point of an update and does nothing by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganq_irl.discriminator.inputs import Encoded, InputEncoder
from ganq_irl.discriminator.losses import Loss
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.errors import ConfigurationError


@dataclass(frozen=True)
class Step:
    """The state of the current update, for penalties."""

    discriminator: BaseDiscriminator
    loss: Loss
    real: Encoded
    fake: Encoded
    real_scores: Tensor  # (batch,), attached
    fake_scores: Tensor
    rng: torch.Generator


@dataclass(eq=False)
class Stabilizer(nn.Module):
    """Base class for stabilizers: modules whose state is saved in a state dict.

    Settings are dataclass fields. State must be allocated in ``attach``, so that a state dict can be loaded.

    Attributes:
        name: the name in ``STABILIZERS``.
        changes_architecture: whether it edits the networks, so that it must be attached before saved weights are loaded.
        reparametrizes: whether it computes weights in each forward pass instead of adding layers.
        uses_batch_statistics: whether a row's score in training depends on the other rows of its batch.
        needs_log_ratio: whether the loss must have a log-ratio.
        penalizes_gradient: whether it uses the gradient of a row's score with respect to that row alone.
        freezes: whether no step is ever taken; layers then keep their statistics as well.
        attach_rank: lower ranks are attached first: 0 inserts layers, 1 reparametrizes weights, 2 does not edit networks.

    Example:
        >>> isinstance(build_stabilizer("r1"), Stabilizer) and "r1" in STABILIZERS
        True
    """

    name: ClassVar[str]
    changes_architecture: ClassVar[bool] = False
    reparametrizes: ClassVar[bool] = False
    uses_batch_statistics: ClassVar[bool] = False
    needs_log_ratio: ClassVar[bool] = False
    penalizes_gradient: ClassVar[bool] = False
    freezes: ClassVar[bool] = False
    attach_rank: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Initialize nn.Module, which dataclasses do not do."""
        nn.Module.__init__(self)

    def settings(self) -> dict[str, Any]:
        """Return name and settings as JSON for ``build_stabilizer``."""
        return {"name": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}

    def on_statistics(self, encoder: InputEncoder) -> None:
        """Adjust the encoder's statistics after they were fitted to real data."""

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Allocate state or edit the networks. ``reference`` is real data, or None when loading."""

    def fit_reference(self, discriminator: BaseDiscriminator, reference: Encoded) -> None:
        """Set what depends on real data, if the data arrive after ``attach``."""

    def on_batch(self, real: Encoded, fake: Encoded, rng: torch.Generator) -> tuple[Encoded, Encoded]:
        """Change the rows before they are scored."""
        return real, fake

    def on_losses(
        self, loss: Loss, real_scores: Tensor, fake_scores: Tensor, losses: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Change the elementwise losses of both sides."""
        return losses

    def penalty(self, step: Step) -> Tensor | None:
        """Return a scalar to add to the loss, or None."""
        return None

    def allows_step(self, metrics: Mapping[str, Tensor]) -> bool:
        """Return whether the discriminator may learn from this batch."""
        return True

    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Read or change the parameters after a step of the optimizer."""

    def averaged(self) -> BaseDiscriminator | None:
        """Return a copy that scores instead of the live discriminator, or None."""
        return None


def check_range(name: str, setting: str, value: float, low: float, high: float) -> None:
    """Raise a ConfigurationError unless ``value`` is a number and ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigurationError(f"{name}: {setting} = {value!r}, expected a number from {low} to {high}")


def check_count(name: str, setting: str, value: int, low: int, high: int = 10**9) -> None:
    """Raise a ConfigurationError unless ``value`` is an integer and ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name}: {setting} = {value!r}, expected an integer from {low} to {high}")
