"""Laws of rewards and returns that are known exactly: mixtures of point masses and normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from ganq_irl.errors import ConfigurationError

_NEGLIGIBLE = 1e-12  # probability of a mode that merging drops


@dataclass(frozen=True, eq=False, init=False)
class ReturnLaw:
    """A mixture of normals, of which a width of 0 is a point mass; closed under shifts, scalings and independent sums.

    Args:
        locations: ``(modes,)`` where each mode sits.
        weights: ``(modes,)`` its probability; they sum to 1.
        widths: ``(modes,)`` its standard deviation; 0 for a point mass. All point masses by default.

    Raises:
        ConfigurationError: lengths that differ, a negative weight or width, or weights that do not sum to 1.
    """

    locations: np.ndarray
    weights: np.ndarray
    widths: np.ndarray

    def __init__(self, locations: ArrayLike, weights: ArrayLike = (1.0,), widths: ArrayLike = 0.0) -> None:
        place, weight = np.atleast_1d(np.asarray(locations, float)), np.atleast_1d(np.asarray(weights, float))
        width = np.broadcast_to(np.asarray(widths, float), place.shape)
        if place.shape != weight.shape or (weight < 0).any() or (width < 0).any() or abs(weight.sum() - 1) > 1e-6:
            raise ConfigurationError(
                f"law with locations {place}, weights {weight}, widths {width}: expected one weight a location, none "
                "negative, that sum to 1, and widths from 0"
            )
        for name, value in (("locations", place), ("weights", weight / weight.sum()), ("widths", width)):
            object.__setattr__(self, name, value)

    @property
    def mode_masses(self) -> dict[float, float]:
        """Probability of each mode by its location, in ascending order; equal locations are one mode."""
        places, index = np.unique(self.locations, return_inverse=True)
        masses = np.bincount(index.ravel(), self.weights)
        return {float(place): float(mass) for place, mass in zip(places, masses, strict=True)}

    def mean(self) -> float:
        """Expectation."""
        return float(self.weights @ self.locations)

    def std(self) -> float:
        """Standard deviation, by the law of total variance."""
        return float(np.sqrt(self.weights @ (self.widths**2 + (self.locations - self.mean()) ** 2)))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """``(n,)`` independent draws."""
        mode = rng.choice(len(self.weights), size=n, p=self.weights)
        return rng.normal(self.locations[mode], self.widths[mode])

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """P(X <= x), of the shape of ``x``; a point mass counts at its own location."""
        gap = np.asarray(x, float)[..., None] - self.locations
        scale = np.where(self.widths > 0, self.widths, 1.0)
        below = np.where(self.widths > 0, norm.cdf(gap / scale), gap >= 0)
        return below @ self.weights

    def scaled(self, factor: float) -> ReturnLaw:
        """The law of ``factor`` · X."""
        return ReturnLaw(factor * self.locations, self.weights, abs(factor) * self.widths)

    def plus(self, other: ReturnLaw) -> ReturnLaw:
        """The law of X + Y for an independent Y."""
        return ReturnLaw(
            np.add.outer(self.locations, other.locations).ravel(),
            np.multiply.outer(self.weights, other.weights).ravel(),
            np.hypot.outer(self.widths, other.widths).ravel(),
        )

    def merged(self, resolution: float) -> ReturnLaw:
        """Modes closer than ``resolution`` in location and width joined, the mean kept; masses below 1e-12 dropped."""
        # One complex number a mode, since np.unique is far slower over rows.
        keys = np.round(self.locations / resolution) + 1j * np.round(self.widths / resolution)
        _, index = np.unique(keys, return_inverse=True)
        weights = np.bincount(index, self.weights)
        kept = weights > _NEGLIGIBLE
        sums = (np.bincount(index, self.weights * values)[kept] for values in (self.locations, self.widths))
        locations, widths = (values / weights[kept] for values in sums)
        return ReturnLaw(locations, weights[kept], widths)


def mixture(laws: Sequence[ReturnLaw], weights: ArrayLike) -> ReturnLaw:
    """The law of a draw from ``laws[i]``, i chosen with probability ``weights[i]``."""
    return ReturnLaw(
        np.concatenate([law.locations for law in laws]),
        np.concatenate([weight * law.weights for law, weight in zip(laws, np.asarray(weights, float), strict=True)]),
        np.concatenate([law.widths for law in laws]),
    )
