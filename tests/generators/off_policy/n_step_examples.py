"""Small n-step buffers, and the definition of what they sample."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common import buffers

from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer, NStepReplayBufferSamples, replay_buffer_for

SB3S = getattr(buffers, "NStepReplayBuffer", None)
needs_sb3s = pytest.mark.skipif(SB3S is None, reason="Stable-Baselines3 has no n-step buffer")
GAMMA = 0.5
LINE = spaces.Box(-np.inf, np.inf, (1,), np.float32)
KEYS = spaces.Dict(a=LINE, b=spaces.Discrete(1000))


def empty(size=20, n_envs=1, n_steps=3, space=LINE, cls=NStepReplayBuffer, gamma=GAMMA):
    """A buffer that holds ``size`` steps of each environment."""
    return cls(size * n_envs, space, spaces.Discrete(5), device="cpu", n_envs=n_envs, n_steps=n_steps, gamma=gamma)


def store(buffer, *transitions):
    """Transitions ``(observation, next observation, reward, "" or "end" or "limit")``, one a step, in every environment."""
    for now, following, reward, end in transitions:
        row = lambda value: np.full((buffer.n_envs, 1), value, np.float32)  # noqa: E731
        both = (row(now), row(following))
        if isinstance(buffer.observations, dict):
            both = tuple({"a": value, "b": value.astype(int)} for value in both)
        infos = [{"TimeLimit.truncated": end == "limit"}] * buffer.n_envs
        buffer.add(*both, row(now).astype(int) % 5, np.full(buffer.n_envs, reward), np.full(buffer.n_envs, end != ""), infos)
    return buffer


def walk_line(n, ends=None, first=0):
    """Transitions i -> i + 1 with a reward of i + 1; ``ends`` says how some of them end."""
    return [(i, i + 1, i + 1.0, (ends or {}).get(i, "")) for i in range(first, first + n)]


def at(buffer, *starts, env=None):
    """Samples that start at the given steps, as plain lists."""
    samples = buffer._get_samples(np.array(starts), env=env)
    assert isinstance(samples, NStepReplayBufferSamples)
    assert all(value.shape == (len(starts), 1) for value in samples[3:])
    assert all(value.dtype == torch.float32 for value in samples[3:])
    return {key: value.flatten().tolist() for key, value in samples._asdict().items() if isinstance(value, torch.Tensor)}


def random_buffer(cls, n_envs, size, n_stored, seed, n_steps=4, space=None, gamma=0.9):
    """Random transitions, chained as an environment would, an episode in five ended by either means."""
    rng = np.random.default_rng(seed)
    buffer = empty(size, n_envs, n_steps, space or spaces.Box(-9, 9, (2,), np.float32), cls, gamma)
    now = rng.normal(size=(n_envs, 2)).astype(np.float32)
    for _ in range(n_stored):
        following = rng.normal(size=(n_envs, 2)).astype(np.float32)
        dones = rng.random(n_envs) < 0.2
        infos = [{"TimeLimit.truncated": bool(done and rng.random() < 0.5)} for done in dones]
        buffer.add(now, following, rng.integers(5, size=(n_envs, 1)), rng.normal(size=n_envs), dones, infos)
        now = following
    return buffer


def sample(buffer, env=None, batch_size=200, seed=0):
    np.random.seed(seed)  # noqa: NPY002  # SB3's buffers draw from it
    return buffer.sample(batch_size, env=env)


def draws(buffer, batch_size, seed=0):
    """Steps and environments that ``sample`` draws with the same seed."""
    np.random.seed(seed)  # noqa: NPY002
    starts = np.random.randint(0, buffer.size(), size=batch_size)  # noqa: NPY002
    return starts, np.random.randint(0, buffer.n_envs, size=batch_size)  # noqa: NPY002


def one_by_one(buffer, start, env):
    """The definition, a step at a time: return, last step, done, discount."""
    total, discount, step = 0.0, 1.0, start
    for _ in range(buffer.n_steps):
        total, discount, last = total + discount * buffer.rewards[step, env], discount * buffer.gamma, step
        if buffer.dones[step, env] or buffer.timeouts[step, env] or step == (buffer.pos - 1) % buffer.buffer_size:
            break
        step = (step + 1) % buffer.buffer_size
    return total, last, buffer.dones[last, env] * (1 - buffer.timeouts[last, env]), discount


def n_step_kwargs(env, n_steps=3, gamma=0.99):
    """Keywords of an SB3 algorithm."""
    kind, kwargs = replay_buffer_for(env.observation_space, n_steps, gamma)
    return {"replay_buffer_class": kind, "replay_buffer_kwargs": kwargs}
