"""Spaces and batches that tests of inputs share."""

import numpy as np
import torch
from gymnasium import spaces

from ganq_irl.discriminator import STATE, InputEncoder
from ganq_irl.types import Batch

BOX = spaces.Box(-10, 10, (2,))
IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
DISCRETE = spaces.Discrete(3)


def batch_of(observations, actions=None, next_observations=None, **fields):
    first = next(iter(observations.values())) if isinstance(observations, dict) else observations
    n = len(first)
    return Batch(
        observations=observations,
        actions=torch.zeros(n, dtype=torch.long) if actions is None else actions,
        next_observations=observations if next_observations is None else next_observations,
        dones=fields.pop("dones", torch.zeros(n)),
        **fields,
    )


def one_field(space, values):
    """What an encoder over observations alone makes of ``values``."""
    return InputEncoder(space, DISCRETE, STATE)(batch_of(values)).features
