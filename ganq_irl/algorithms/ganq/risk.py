"""Statistics that an agent with return distributions can maximize instead of the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import torch
from torch import Tensor

from ganq_irl.errors import ConfigurationError

RISKS = ("mean", "cvar", "quantile")


@dataclass(frozen=True)
class Risk:
    """A statistic of return samples.

    Attributes:
        name: "mean"; "cvar", the mean of the worst ``level`` of the returns (Dabney et al., 2018, section 4); or "quantile",
            their ``level`` quantile, which is risk-seeking above 1/2 and risk-averse below.
        level: in (0, 1]; unused by the mean.
    """

    name: str = "mean"
    level: float = 1.0

    @classmethod
    def parse(cls, spec: str | Mapping[str, Any]) -> Self:
        """Parse a name, or ``{"name": ..., "level": ...}``.

        Raises:
            ConfigurationError: unknown name, or missing or invalid level.
        """
        settings = {"name": spec} if isinstance(spec, str) else dict(spec)
        name, level = settings.get("name"), settings.get("level")
        is_level = isinstance(level, int | float) and not isinstance(level, bool) and 0 < level <= 1
        fits = level is None if name == "mean" else is_level
        if name not in RISKS or not settings.keys() <= {"name", "level"} or not fits:
            raise ConfigurationError(
                f'risk: given {spec!r}; expected "mean", {{"name": "cvar", "level": 0.1}} or '
                '{"name": "quantile", "level": 0.9}, with a level in (0, 1]'
            )
        return cls(name) if level is None else cls(name, float(level))

    @property
    def is_neutral(self) -> bool:
        """Return whether it is the mean."""
        return self.name == "mean" or (self.name == "cvar" and self.level == 1.0)

    def __call__(self, samples: Tensor) -> Tensor:
        """Return the statistic of samples ``(..., n)`` over the last axis, ``(...)``."""
        if self.name == "mean":
            return samples.mean(dim=-1)
        if self.name == "quantile":
            return torch.quantile(samples, self.level, dim=-1)
        worst = ceil(self.level * samples.shape[-1])
        return samples.sort(dim=-1).values[..., :worst].mean(dim=-1)
