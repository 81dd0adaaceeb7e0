"""Ring of eight Gaussians, a small dataset on which a GAN's mode collapse can be counted."""

from __future__ import annotations

import numpy as np

N_MODES = 8
RADIUS = 2.0
STD = 0.05


def ring_centers() -> np.ndarray:
    """Return the centers of the modes, ``(8, 2)``, evenly spaced on a circle of radius 2."""
    angles = 2 * np.pi * np.arange(N_MODES) / N_MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def sample_ring(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``(n, 2)`` float32 samples, from a random mode with a standard deviation of 0.05."""
    points = ring_centers()[rng.integers(N_MODES, size=n)] + STD * rng.standard_normal((n, 2))
    return points.astype(np.float32)


def ring_quality(samples: np.ndarray, min_share: float = 0.0125) -> tuple[int, float]:
    """Return the number of covered modes and the share of high-quality samples (VEEGAN; Srivastava et al., 2017).

    A high-quality sample lies within three standard deviations of a mode; 98.9 % of true samples do. A mode is covered if it
    has at least ``min_share`` of all samples as high-quality samples: by default a tenth of its expected share.

    Args:
        samples: ``(n, 2)``.
        min_share: share of all samples that a covered mode needs.

    Returns:
        Number of covered modes, 0 to 8, and share of high-quality samples, 0 to 1.
    """
    distances = np.linalg.norm(samples[:, None] - ring_centers(), axis=2)  # (n, 8)
    near = distances <= 3 * STD
    return int((near.mean(axis=0) >= min_share).sum()), float(near.any(axis=1).mean())
