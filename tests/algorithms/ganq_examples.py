"""Small, quick GAN-Qs for the tests of its room."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import torch
from gymnasium import spaces

from ganq_irl.algorithms import GANQ
from tests.scripted import CountingEnv, SpacesEnv, WalkEnv, vec_env

VECTOR = spaces.Box(-1, 1, (2,), np.float32)
MODES = ("default", "paper")
SMALL = {
    "buffer_size": 400,
    "learning_starts": 16,
    "batch_size": 8,
    "train_freq": 4,
    "gradient_steps": 2,
    "target_update_interval": 8,
    "critic_hidden_sizes": (8,),
    "seed": 0,
    "device": "cpu",
}


def walk_env(n_envs=1, **kwargs):
    return vec_env(WalkEnv, n_envs, action_space=spaces.Discrete(3), **kwargs)


def counting_env(**kwargs):
    """Episodes of three steps that terminate and of four that a time limit cuts, by turns; every step pays 7."""
    return vec_env(CountingEnv, 1, action_space=spaces.Discrete(2), **kwargs)


def spaces_env(observation_space, n_actions=3):
    return vec_env(SpacesEnv, observation_space=observation_space, action_space=spaces.Discrete(n_actions))


def small(env=None, policy="MlpPolicy", *, net_arch=(8,), policy_kwargs=None, **options):
    """A GAN-Q with one hidden layer of 8 on either side."""
    kwargs = {"net_arch": list(net_arch), **(policy_kwargs or {})}
    return GANQ(policy, walk_env() if env is None else env, policy_kwargs=kwargs, **{**SMALL, **options})


def collected(model, n_steps=60):
    """The model with a filled replay buffer, and no update taken."""
    starts, model.learning_starts = model.learning_starts, n_steps + 1
    model.learn(n_steps)
    model.learning_starts = starts
    return model


@contextmanager
def spying_on(owner, name, calls):
    """Keep the arguments of every call of a method, which works as before."""
    method = getattr(owner, name)

    def spy(*arguments, **keywords):
        calls.append(arguments)
        return method(*arguments, **keywords)

    setattr(owner, name, spy)
    try:
        yield
    finally:
        delattr(owner, name)


def step_taken(model, sampled=None):
    """One step on a minibatch: what was sampled, the noise, and the returns that the critic had to tell apart.

    Returns:
        (batch, rewards, discounts), noise, Bellman samples, the generator's samples
    """
    sampled = model._sample(16) if sampled is None else sampled
    batch = sampled[0]
    noise = torch.randn(model.n_samples, generator=clone(model.learner.rng))
    with torch.no_grad():
        means, _ = model.q_net.samples(batch.observations, batch.actions, noise)
    calls = []
    with spying_on(model.learner, "update", calls):
        model._step(sampled, measures=True)
    ((real, fake),) = calls
    if model.mode == "paper":
        return sampled, noise, real.returns, fake.returns.detach()
    scale = model.residuals.scale  # the critic sees distances from the mean, in this unit
    return sampled, noise, real.returns * scale + means, fake.returns.detach() * scale + means


def clone(generator):
    return torch.Generator().set_state(generator.get_state())


def state_of(model):
    """Everything that learning changes, as one flat dict of tensors."""
    flat = {}

    def walk(prefix, value):
        if isinstance(value, torch.Tensor):
            flat[prefix] = value.detach().clone()
        elif isinstance(value, dict):
            for key, entry in value.items():
                walk(f"{prefix}.{key}", entry)
        elif isinstance(value, int | float):
            flat[prefix] = torch.tensor(float(value))

    walk("", model.get_parameters())
    return flat


def same_state(first, second):
    one, other = state_of(first), state_of(second)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
