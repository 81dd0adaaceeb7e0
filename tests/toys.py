"""Small spaces, batches and learners that tests of several rooms build on."""

import numpy as np
import torch
from gymnasium import spaces

from ganq_irl.discriminator import (
    STATE_ACTION,
    STATE_ACTION_STATE,
    Discriminator,
    DiscriminatorLearner,
    InputEncoder,
    ShapedDiscriminator,
)
from ganq_irl.types import Batch

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,))
ACTIONS = spaces.Discrete(2)
KINDS = ("plain", "shaped")


def toy_batch(n=32, seed=0, shift=0.0, device="cpu"):
    """Transitions over OBSERVATIONS and ACTIONS, observations around ``shift``, one in eight terminal."""
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(n, 3, generator=generator) + shift
    return Batch(
        observations=observations,
        actions=torch.randint(2, (n,), generator=generator),
        next_observations=observations + 0.1 * torch.randn(n, 3, generator=generator),
        dones=(torch.arange(n) % 8 == 7).float(),
        log_probs=-torch.rand(n, generator=generator),
    ).to(device)


def toy_discriminator(kind="plain", hidden=(8, 8), seed=0, activation="tanh"):
    """A discriminator over the toy spaces, its weights drawn from ``seed`` alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "plain":
            return Discriminator(InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION), hidden, activation)
        encoder = InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION_STATE)
        return ShapedDiscriminator(encoder, STATE_ACTION, 0.9, hidden, activation)


def toy_learner(kind="plain", *, seed=0, hidden=(8, 8), activation="tanh", reference=None, device="cpu", **options):
    """A learner over a toy discriminator; nothing in it draws from the global random state."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        discriminator = toy_discriminator(kind, hidden, seed, activation).to(device)
        reference = toy_batch(64, seed=100) if reference is None else reference
        return DiscriminatorLearner(discriminator, reference.to(device), seed=seed, **options)


def toy_updates(learner, n=3, start=0, shift=0.3, device="cpu"):
    """``n`` updates on batches numbered from ``start``; returns the metrics of each."""
    return [
        learner.update(toy_batch(seed=2 * i, device=device), toy_batch(seed=2 * i + 1, shift=shift, device=device))
        for i in range(start, start + n)
    ]


def parameters_of(module):
    """Copies of all parameters, flat."""
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])
