"""Segments with known values, for the tests of feedback."""

import numpy as np
from gymnasium import spaces

from ganq_irl_demos import Trajectory

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(-1.0, 1.0, (1,), np.float32)
WEIGHTS = np.array([1.0, -2.0, 0.5])


def random_segment(rng, length=8, terminated=False):
    """Random observations and actions, paid the linear reward ``WEIGHTS @ observation``."""
    observations = rng.normal(size=(length + 1, 3)).astype(np.float32) + rng.normal(size=3).astype(np.float32)
    actions = rng.uniform(-1, 1, size=(length, 1)).astype(np.float32)
    return Trajectory(observations, actions, observations[:-1] @ WEIGHTS, terminated=terminated)


def random_pairs(n, seed=0, length=8):
    rng = np.random.default_rng(seed)
    return [(random_segment(rng, length), random_segment(rng, length)) for _ in range(n)]
