"""A ring of eight Gaussians: the smallest data on which a GAN's collapse onto a few modes can be counted."""

from __future__ import annotations

import numpy as np

N_MODES = 8
RADIUS = 2.0
STD = 0.05


def ring_centers() -> np.ndarray:
    """Centres of the modes, ``(8, 2)``, evenly on a circle of radius 2."""
    angles = 2 * np.pi * np.arange(N_MODES) / N_MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def sample_ring(n: int, rng: np.random.Generator) -> np.ndarray:
    """``(n, 2)`` float32 draws: a mode at random, and a normal of deviation 0.05 around it."""
    points = ring_centers()[rng.integers(N_MODES, size=n)] + STD * rng.standard_normal((n, 2))
    return points.astype(np.float32)


def ring_quality(samples: np.ndarray, min_share: float = 0.0125) -> tuple[int, float]:
    """Modes covered, and share of samples of high quality (as in VEEGAN, Srivastava et al., 2017).

    A sample is of high quality within three deviations of a mode; of true data 98.9 % are. A mode is covered when at least
    ``min_share`` of all samples are of high quality and its own: by default a tenth of its due.

    Args:
        samples: ``(n, 2)``.
        min_share: of all samples, that a covered mode needs.

    Returns:
        Modes covered, 0 to 8, and the share of high quality, 0 to 1.
    """
    distances = np.linalg.norm(samples[:, None] - ring_centers(), axis=2)  # (n, 8)
    near = distances <= 3 * STD
    return int((near.mean(axis=0) >= min_share).sum()), float(near.any(axis=1).mean())
