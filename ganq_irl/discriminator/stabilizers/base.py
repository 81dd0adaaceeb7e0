"""What a stabiliser may do, moment by moment; every hook does nothing unless a stabiliser says otherwise."""

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
    """Everything about the update under way that a penalty may look at."""

    discriminator: BaseDiscriminator
    loss: Loss
    real: Encoded
    fake: Encoded
    real_scores: Tensor  # (batch,), attached
    fake_scores: Tensor
    generator: torch.Generator


@dataclass(eq=False)
class Stabilizer(nn.Module):
    """A trick against instability, as a module whose state a state dict saves.

    Settings are dataclass fields. State is allocated in ``attach`` and not later, so that a loaded state finds its place.

    Attributes:
        name: as in ``STABILIZERS``.
        changes_architecture: edits the networks, and must be attached again before saved weights are loaded into them.
        reparametrizes: computes weights from others at each forward, instead of adding layers.
        uses_batch_statistics: a row's training score depends on its batch-mates.
        needs_log_ratio: reads scores as log-ratios, so that the loss must have one.
        penalizes_gradient: needs the gradient of a row's score in that row alone.
        freezes: no step is ever taken, so layers must not move their statistics either.
        attach_rank: lower ones are attached first: 0 inserts layers, 1 reparametrises weights, 2 leaves the networks alone.
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
        """Let nn.Module set itself up; dataclasses do not call it."""
        nn.Module.__init__(self)

    def settings(self) -> dict[str, Any]:
        """JSON description: name and settings; ``build_stabilizer`` takes it."""
        return {"name": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}

    def on_statistics(self, encoder: InputEncoder) -> None:
        """Change how inputs are scaled, once the real data have said."""

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Allocate state for ``discriminator``, or edit its networks. ``reference`` is real data; None when reloading."""

    def refer_to(self, discriminator: BaseDiscriminator, reference: Encoded) -> None:
        """Take what is fixed from real data that came after ``attach``."""

    def on_batch(self, real: Encoded, fake: Encoded, generator: torch.Generator) -> tuple[Encoded, Encoded]:
        """Change what is scored."""
        return real, fake

    def on_losses(
        self, loss: Loss, real_scores: Tensor, fake_scores: Tensor, losses: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Change the elementwise losses of both sides."""
        return losses

    def penalty(self, step: Step) -> Tensor | None:
        """A scalar to add to the loss."""
        return None

    def allows_step(self, metrics: Mapping[str, Tensor]) -> bool:
        """Whether the discriminator may learn from this batch."""
        return True

    def after_step(self, discriminator: BaseDiscriminator) -> None:
        """Look at, or change, the parameters after a step of the optimiser."""

    def averaged(self) -> BaseDiscriminator | None:
        """A copy that should score in place of the live discriminator."""
        return None


def check_range(name: str, setting: str, value: float, low: float, high: float) -> None:
    """Raise a ConfigurationError unless ``value`` is a number and ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigurationError(f"{name}: {setting} = {value!r}, expected a number from {low} to {high}")


def check_count(name: str, setting: str, value: int, low: int, high: int = 10**9) -> None:
    """Raise a ConfigurationError unless ``value`` is an integer and ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name}: {setting} = {value!r}, expected an integer from {low} to {high}")
