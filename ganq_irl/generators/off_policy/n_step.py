"""Replay buffers with n-step returns, computed at sampling time; one implementation for flat and Dict observations.

Stable-Baselines3 2.7 and later has such a buffer for flat observations. Its windows may cross from one ``learn()`` into the
next, where no episode ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common import buffers
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.observations import normalized
from ganq_irl.generators.off_policy.replay import stored_rows, terminations
from ganq_irl.spaces import has_scalars
from ganq_irl.types import Observations


class NStepReplayBufferSamples(NamedTuple):
    """n-step transitions, with the field names of SB3's samples; SB3 before 2.7 has no ``discounts``.

    Attributes:
        observations: at the window's first step t, ``(batch, *shape)`` or a dict of such tensors.
        actions: at t, as stored, ``(batch, action_dim)``.
        next_observations: after the window's last step; at the end of an episode, the terminal observation.
        dones: ``(batch, 1)`` float32, 1 only if the window's last step terminated the episode.
        rewards: Σ_k γ^k r_{t+k} over the window, ``(batch, 1)`` float32.
        discounts: γ to the power of the window's length, ``(batch, 1)`` float32, for bootstrapping from
            ``next_observations``.
    """

    observations: Observations
    actions: Tensor
    next_observations: Observations
    dones: Tensor
    rewards: Tensor
    discounts: Tensor


class Windows(NamedTuple):
    """Up to n consecutive transitions of one environment in a ring buffer, for each row of a batch.

    Attributes:
        steps: positions in the ring, ``(batch, n)``; meaningless after the end of a window.
        envs: environment of each row, ``(batch, 1)``.
        inside: whether a step belongs to the window, ``(batch, n)`` bool; the first one always does.
        lengths: number of steps inside, ``(batch,)``.
        last: position of the last step inside, ``(batch,)``.
    """

    steps: np.ndarray
    envs: np.ndarray
    inside: np.ndarray
    lengths: np.ndarray
    last: np.ndarray


def windows(starts: np.ndarray, envs: np.ndarray, n_steps: int, newest: int, *ends: np.ndarray) -> Windows:
    """Return the windows that start at ``(starts, envs)``, both ``(batch,)``.

    A window ends after n steps, at the newest transition, or at a step where one of ``ends`` is nonzero, each of shape
    ``(size of the ring, n_envs)``. That step still belongs to the window.
    """
    envs = envs[:, None]
    steps = (starts[:, None] + np.arange(n_steps)) % len(ends[0])
    is_last = steps == newest
    for end in ends:
        is_last |= end[steps, envs] != 0
    is_last[:, -1] = True
    offsets = is_last.argmax(axis=1)  # index of the first True
    inside = np.arange(n_steps) <= offsets[:, None]
    return Windows(steps, envs, inside, offsets + 1, steps[np.arange(len(starts)), offsets])


_SB3: Any = getattr(buffers, "NStepReplayBuffer", ReplayBuffer)  # exists in SB3 2.7 and later


class NStepReplayBuffer(_SB3):
    """SB3's replay buffer with n-step transitions (Sutton & Barto, 2018, equation 7.1).

    A window of n steps is cut short by a termination, by a time limit (bootstrapping then uses the terminal observation), by
    the newest transition, and where a ``learn()`` stopped in the middle of an episode.

    The algorithm must discount its bootstrap with the samples' ``discounts``. Stable-Baselines3 does so from 2.7 on. Earlier
    releases always discount by γ, which is only correct for n = 1.

    Args:
        buffer_size: number of transitions of all environments together.
        observation_space: observation space of the algorithm.
        action_space: action space of the algorithm.
        device: device of the samples.
        n_envs: number of parallel environments.
        optimize_memory_usage: must be False, SB3's default.
        handle_timeout_termination: must be True, SB3's default.
        n_steps: maximum length of a window, at least 1.
        gamma: discount factor in [0, 1]; use the algorithm's.

    Raises:
        ConfigurationError: a setting does not support n-step returns.

    Example:
        >>> kwargs = {"n_steps": 3, "gamma": 0.98}
        >>> buffer = {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": kwargs}
        >>> model = SAC("MlpPolicy", "Pendulum-v1", gamma=0.98, policy_kwargs={"net_arch": [16]}, **buffer)
        >>> model.learn(50).replay_buffer.sample(4).rewards.shape
        torch.Size([4, 1])
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: Any = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        n_steps: int,
        gamma: float,
    ) -> None:
        if optimize_memory_usage or not handle_timeout_termination:
            raise ConfigurationError(
                f"given optimize_memory_usage={optimize_memory_usage} and "
                f"handle_timeout_termination={handle_timeout_termination}; n-step returns need terminal observations and "
                "time limits, so leave both at their defaults"
            )
        _check_settings(n_steps, gamma)
        super().__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.n_steps, self.gamma = n_steps, gamma

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any) -> None:
        """Store a transition of each environment. If it does not continue the last one, that one counts as truncated."""
        before = latest_position(self)
        super().add(obs, next_obs, action, reward, done, infos)
        mark_cut(self, before)

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        return n_step_samples(self, batch_inds, env, self._returns)

    def _returns(self, window: Windows, env: VecNormalize | None) -> Tensor:
        """Return the discounted sum of each window's rewards, ``(batch, 1)``."""
        rewards = self._normalize_reward(self.rewards[window.steps, window.envs], env)
        return self.to_torch((rewards * window.inside) @ powers(self.gamma, self.n_steps), copy=False).reshape(-1, 1)


class NStepDictReplayBuffer(NStepReplayBuffer, DictReplayBuffer):
    """An n-step replay buffer for Dict observations.

    Example:
        >>> space = spaces.Dict({"position": spaces.Box(-1, 1, (2,))})
        >>> buffer = NStepDictReplayBuffer(100, space, spaces.Discrete(2), n_steps=3, gamma=0.98)
        >>> buffer.size()
        0
    """


def n_step_samples(
    buffer: Any, starts: np.ndarray, env: VecNormalize | None, returns: Callable[[Windows, Any], Tensor]
) -> NStepReplayBufferSamples:
    """Sample the windows that start at ``starts``, each in a random environment.

    Args:
        buffer: an n-step replay buffer: ours, SB3's, or a view of one.
        starts: positions in the ring, ``(batch,)``.
        env: normalizes observations, if given.
        returns: computes the discounted sum of each window's rewards, ``(batch, 1)``.
    """
    envs = np.random.randint(0, buffer.n_envs, size=len(starts))  # noqa: NPY002  # seeded by SB3, like its own draws
    newest = (buffer.pos - 1) % buffer.buffer_size
    window = windows(starts, envs, buffer.n_steps, newest, buffer.dones, buffer.timeouts)
    observations, actions = stored_rows(buffer, ("observations", "actions"), starts, envs)
    (next_observations,) = stored_rows(buffer, ("next_observations",), window.last, envs)
    return NStepReplayBufferSamples(
        observations=normalized(env, observations),
        actions=actions,
        next_observations=normalized(env, next_observations),
        dones=terminations(buffer, window.last, envs).reshape(-1, 1),
        rewards=returns(window, env),
        discounts=buffer.to_torch(powers(buffer.gamma, buffer.n_steps + 1)[window.lengths, None], copy=False),
    )


def powers(gamma: float, number: int) -> np.ndarray:
    """Return 1, γ, γ², ..., ``number`` of them."""
    return gamma ** np.arange(number, dtype=np.float32)


def latest_position(buffer: Any) -> int | None:
    """Return the position of the newest transitions, or None if the buffer is empty."""
    return buffer.pos - 1 if buffer.size() else None


def mark_cut(buffer: Any, before: int | None) -> None:
    """Mark the transitions at ``before`` as truncated if those added after them do not continue them.

    This happens where a ``learn()`` stopped in the middle of an episode and the next one reset the environment.
    """
    if before is not None:
        newest = (before + 1) % buffer.buffer_size
        is_cut = _differ(buffer.next_observations, before, buffer.observations, newest) & (buffer.dones[before] == 0)
        buffer.timeouts[before, is_cut] = 1


def replay_buffer_for(
    observation_space: spaces.Space, n_steps: int, gamma: float
) -> tuple[type[ReplayBuffer], dict[str, Any]]:
    """Return ``replay_buffer_class`` and ``replay_buffer_kwargs`` of an SB3 algorithm; SB3's buffer for ``n_steps=1``.

    Observations with shape ``()`` always use our buffer, since SB3's cannot index them.

    Raises:
        ConfigurationError: ``n_steps`` is below 1, or ``gamma`` outside [0, 1].

    Example:
        >>> buffer_class, kwargs = replay_buffer_for(env.observation_space, n_steps=3, gamma=0.98)
        >>> buffer_class.__name__, kwargs
        ('NStepReplayBuffer', {'n_steps': 3, 'gamma': 0.98})
    """
    _check_settings(n_steps, gamma)
    is_dict = isinstance(observation_space, spaces.Dict)
    if n_steps == 1 and not has_scalars(observation_space):
        return (DictReplayBuffer if is_dict else ReplayBuffer), {}
    return (NStepDictReplayBuffer if is_dict else NStepReplayBuffer), {"n_steps": n_steps, "gamma": gamma}


def _check_settings(n_steps: int, gamma: float) -> None:
    if not isinstance(n_steps, int | np.integer) or isinstance(n_steps, bool) or n_steps < 1:
        raise ConfigurationError(f"n_steps: given {n_steps!r}; expected a whole number of at least 1")
    if not 0 <= gamma <= 1:
        raise ConfigurationError(f"gamma: given {gamma!r}; expected a discount in [0, 1]")


def _differ(storage: Any, step: int, other: Any, other_step: int) -> np.ndarray:
    """Return in which environments the rows at two steps differ, ``(n_envs,)`` bool."""
    if isinstance(storage, dict):
        return np.any([_differ(storage[key], step, other[key], other_step) for key in storage], axis=0)
    rows = storage[step] != other[other_step]
    return rows.reshape(len(rows), -1).any(axis=1)
