"""Exact distributions of rewards and returns: mixtures of point masses and normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from ganq_irl.errors import ConfigurationError

_NEGLIGIBLE = 1e-12  # probability of a mode that merging drops


@dataclass(frozen=True, eq=False, init=False)
class ReturnLaw:
    """Mixture of normals, closed under shifts, scalings and independent sums. A width of 0 is a point mass.

    Args:
        locations: ``(modes,)``, the mean of each mode.
        weights: ``(modes,)``, the probability of each mode; they sum to 1.
        widths: ``(modes,)``, the standard deviation of each mode; 0 for a point mass. Point masses by default.

    Raises:
        ConfigurationError: lengths differ, a weight or width is negative, or weights do not sum to 1.
    """

    locations: np.ndarray
    weights: np.ndarray
    widths: np.ndarray

    def __init__(self, locations: ArrayLike, weights: ArrayLike = (1.0,), widths: ArrayLike = 0.0) -> None:
        place, weight = np.atleast_1d(np.asarray(locations, float)), np.atleast_1d(np.asarray(weights, float))
        width = np.broadcast_to(np.asarray(widths, float), place.shape)
        if place.shape != weight.shape or (weight < 0).any() or (width < 0).any() or abs(weight.sum() - 1) > 1e-6:
            raise ConfigurationError(
                f"law with locations {place}, weights {weight}, widths {width}: expected one weight per location, weights "
                "that are not negative and sum to 1, and widths from 0"
            )
        for name, value in (("locations", place), ("weights", weight / weight.sum()), ("widths", width)):
            object.__setattr__(self, name, value)

    @property
    def mode_masses(self) -> dict[float, float]:
        """Probability of each mode by location, in ascending order; equal locations are one mode."""
        places, index = np.unique(self.locations, return_inverse=True)
        masses = np.bincount(index.ravel(), self.weights)
        return {float(place): float(mass) for place, mass in zip(places, masses, strict=True)}

    def mean(self) -> float:
        """Return the mean."""
        return float(self.weights @ self.locations)

    def std(self) -> float:
        """Return the standard deviation, by the law of total variance."""
        return float(np.sqrt(self.weights @ (self.widths**2 + (self.locations - self.mean()) ** 2)))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``(n,)`` independent draws."""
        mode = rng.choice(len(self.weights), size=n, p=self.weights)
        return rng.normal(self.locations[mode], self.widths[mode])

    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return P(X <= x), in the shape of ``x``."""
        gap = np.asarray(x, float)[..., None] - self.locations
        scale = np.where(self.widths > 0, self.widths, 1.0)
        below = np.where(self.widths > 0, ndtr(gap / scale), gap >= 0)
        return below @ self.weights

    def scaled(self, factor: float) -> ReturnLaw:
        """Return the law of ``factor`` · X."""
        return ReturnLaw(factor * self.locations, self.weights, abs(factor) * self.widths)

    def plus(self, other: ReturnLaw) -> ReturnLaw:
        """Return the law of X + Y for an independent Y."""
        return ReturnLaw(
            np.add.outer(self.locations, other.locations).ravel(),
            np.multiply.outer(self.weights, other.weights).ravel(),
            np.hypot.outer(self.widths, other.widths).ravel(),
        )

    def merged(self, resolution: float) -> ReturnLaw:
        """Merge modes closer than ``resolution`` in location and width, keeping the mean; drop masses below 1e-12."""
        # Encode each mode as a complex number, because np.unique is much slower on rows.
        keys = np.round(self.locations / resolution) + 1j * np.round(self.widths / resolution)
        _, index = np.unique(keys, return_inverse=True)
        weights = np.bincount(index, self.weights)
        kept = weights > _NEGLIGIBLE
        sums = (np.bincount(index, self.weights * values)[kept] for values in (self.locations, self.widths))
        locations, widths = (values / weights[kept] for values in sums)
        return ReturnLaw(locations, weights[kept], widths)


def mixture(laws: Sequence[ReturnLaw], weights: ArrayLike) -> ReturnLaw:
    """Return the law of a draw from ``laws[i]``, with i drawn with probability ``weights[i]``."""
    return ReturnLaw(
        np.concatenate([law.locations for law in laws]),
        np.concatenate([weight * law.weights for law, weight in zip(laws, np.asarray(weights, float), strict=True)]),
        np.concatenate([law.widths for law in laws]),
    )
