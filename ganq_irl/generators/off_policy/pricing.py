"""Off-policy generators: rewards are computed when a batch is sampled, with the current discriminator.

The replay buffer stores the environment's rewards. They are not used during imitation, unless a weight is given; afterwards
the model has its own replay buffer back, with the true rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common import buffers
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from torch import Tensor

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.acceleration import original_method
from ganq_irl.generators.internals import progress_remaining
from ganq_irl.generators.observations import normalized
from ganq_irl.generators.off_policy.n_step import (
    NStepDictReplayBuffer,
    NStepReplayBuffer,
    Windows,
    latest_position,
    mark_cut,
    n_step_samples,
    powers,
)
from ganq_irl.generators.off_policy.replay import TRANSITION, DeviceCopy, ReplayView, stored_rows, terminations
from ganq_irl.types import Batch


class _Relabeled(ReplayView):
    """A replay buffer whose rewards are computed by ``price`` at sampling time.

    Args:
        stored: buffer that holds the transitions.
        price: returns the current reward of each transition of a batch, ``(batch,)``.
        task_weight: weight of the stored rewards, which are added; with 0, they are never read.
    """

    def __init__(self, stored: ReplayBuffer, price: Callable[[Batch], Tensor], task_weight: float) -> None:
        super().__init__(stored)
        self.price, self.task_weight = price, task_weight
        self.device_copy: DeviceCopy | None = None

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a transition of each environment."""
        super().add(*args, **kwargs)
        if self.device_copy is not None:
            self.device_copy.add()

    def rewards_of(self, batch: Batch, steps: np.ndarray, envs: np.ndarray) -> Tensor:
        """Return the rewards of the transitions at ``(steps, envs)``, which ``batch`` holds, ``(batch,)``."""
        prices = self.price(batch)
        return prices + self.task_weight * self.to_torch(self.rewards[steps, envs]) if self.task_weight else prices


class RelabeledReplayBuffer(_Relabeled):
    """One-step transitions with rewards computed by ``price``."""

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> Any:
        envs = np.random.randint(0, high=self.n_envs, size=len(batch_inds))  # noqa: NPY002  # drawn as in SB3
        rows = stored_rows(self, TRANSITION, batch_inds, envs)
        raw = _as_batch(self, rows, batch_inds, envs)  # not normalized: the discriminator has its own normalizer
        samples: Any = DictReplayBufferSamples if isinstance(raw.observations, dict) else ReplayBufferSamples
        return samples(
            observations=normalized(env, raw.observations),
            actions=rows[1],
            next_observations=normalized(env, raw.next_observations),
            dones=raw.dones.reshape(-1, 1),
            rewards=self.rewards_of(raw, batch_inds, envs).reshape(-1, 1),
        )


class RelabeledNStepReplayBuffer(_Relabeled):
    """n-step returns of rewards computed by ``price``, which is called once for all transitions of the windows."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a transition of each environment, and mark where ``learn`` stopped, which SB3's own buffer does not."""
        before = latest_position(self)
        super().add(*args, **kwargs)
        mark_cut(self, before)

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> Any:
        return n_step_samples(self, batch_inds, env, self._returns)

    def _returns(self, window: Windows, env: Any) -> Tensor:
        rows, columns = np.nonzero(window.inside)
        at = window.steps[rows, columns], window.envs[rows, 0]
        prices = self.rewards_of(_gather(self, *at), *at)
        rewards = prices.new_zeros(window.inside.shape)
        rewards[self._tensor(rows), self._tensor(columns)] = prices
        return (rewards @ self._tensor(powers(self.gamma, self.n_steps))).reshape(-1, 1)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return self.to_torch(array, copy=False)


_VIEWS: dict[type[ReplayBuffer], type[_Relabeled]] = {
    ReplayBuffer: RelabeledReplayBuffer,
    DictReplayBuffer: RelabeledReplayBuffer,
    NStepReplayBuffer: RelabeledNStepReplayBuffer,
    NStepDictReplayBuffer: RelabeledNStepReplayBuffer,
}
if hasattr(buffers, "NStepReplayBuffer"):  # SB3 2.7 and later; it stores the same as ours
    _VIEWS[buffers.NStepReplayBuffer] = RelabeledNStepReplayBuffer


def check_can_relabel(model: OffPolicyAlgorithm) -> None:
    """Raise unless the generator's replay buffer can be relabeled at sampling time.

    Raises:
        UnsupportedGenerator: it cannot; the message names the buffer and the alternatives.
    """
    kind = type(model.replay_buffer)
    if kind not in _VIEWS:
        raise UnsupportedGenerator(
            f"{kind.__name__} cannot be relabeled, since it reweights or replaces rewards before sampling; use SB3's "
            "plain ReplayBuffer (no replay_buffer_class), or ganq_irl.generators.off_policy.n_step.NStepReplayBuffer"
        )
    assert model.replay_buffer is not None
    if not model.replay_buffer.handle_timeout_termination:  # SB3 requires this for optimize_memory_usage=True
        raise UnsupportedGenerator(
            "a replay buffer with optimize_memory_usage=True or handle_timeout_termination=False stores no time limits, so "
            "truncated episodes would look terminated; leave both at their defaults"
        )
    if getattr(model.replay_buffer, "n_steps", 1) > 1 and not _discounts_by_samples(model):
        raise UnsupportedGenerator(
            f"{type(model).__name__} of this Stable-Baselines3 would discount the bootstrap of n-step returns by one step "
            "only; upgrade stable-baselines3 to 2.7 or later, or do not use an n-step buffer"
        )


def _discounts_by_samples(model: OffPolicyAlgorithm) -> bool:
    """Return whether the algorithm's update uses ``discounts``; SB3's algorithms do if its samples have them."""
    is_of_sb3 = original_method(type(model), "train").__module__.startswith(("stable_baselines3.", "sb3_contrib."))
    return not is_of_sb3 or "discounts" in ReplayBufferSamples._fields


def relabeled(stored: ReplayBuffer, price: Callable[[Batch], Tensor], task_weight: float = 0.0) -> _Relabeled:
    """Return a view of a buffer whose rewards are computed at sampling time.

    Args:
        stored: a buffer accepted by ``check_can_relabel``.
        price: returns the current reward of each transition of a batch, ``(batch,)``.
        task_weight: weight of the stored rewards, which are added.
    """
    return _VIEWS[type(stored)](stored, price, task_weight)


class OffPolicyCallback(BaseCallback):
    """Train the discriminator on the replay buffer after each collection of experience.

    Args:
        train: trains on the batches that it needs of an endless iterator, given the progress remaining.
        batch_size: number of distinct transitions in a batch; training starts when the buffer holds as many.
        rng: random generator for sampling.
    """

    model: OffPolicyAlgorithm

    def __init__(self, train: Callable[[Iterator[Batch], float], None], batch_size: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.train, self.batch_size, self.rng = train, batch_size, rng

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.replay_buffer
        assert buffer is not None
        stored = buffer.size() * buffer.n_envs
        if stored >= self.batch_size and self.model.num_timesteps > self.model.learning_starts:
            self.train(self._fakes(buffer), progress_remaining(self.model))

    def _fakes(self, buffer: ReplayBuffer) -> Iterator[Batch]:
        while True:
            rows = self.rng.choice(buffer.size() * buffer.n_envs, self.batch_size, replace=False, shuffle=False)
            yield _gather(buffer, rows // buffer.n_envs, rows % buffer.n_envs)


def latest_rewards(model: BaseAlgorithm, n: int) -> np.ndarray:
    """Return the rewards that the generator learns from, of its newest transitions, without random draws.

    Args:
        model: an SB3 algorithm at the end of a collection of experience.
        n: maximum number of steps of each environment off-policy. On-policy, the whole rollout is used, whose rewards
            include SB3's discounted values at time limits.

    Returns:
        ``(m,)`` float; for a relabeled buffer, rewards of the current discriminator.
    """
    buffer: Any = getattr(model, "replay_buffer", None)
    if buffer is None:
        return np.asarray(model.rollout_buffer.rewards).ravel()  # type: ignore[attr-defined]
    steps = latest_indices(buffer, n)
    if not isinstance(buffer, _Relabeled) or not len(steps):
        return buffer.rewards[steps].ravel()
    at = np.repeat(steps, buffer.n_envs), np.tile(np.arange(buffer.n_envs), len(steps))
    return buffer.rewards_of(_gather(buffer, *at), *at).cpu().numpy()


def latest_indices(buffer: ReplayBuffer, n: int) -> np.ndarray:
    """Return the positions of the newest ``n`` steps of each environment, or of all if there are fewer, newest first."""
    return (buffer.pos - 1 - np.arange(min(n, buffer.size()))) % buffer.buffer_size


def _gather(buffer: ReplayBuffer, steps: np.ndarray, envs: np.ndarray) -> Batch:
    """Return raw transitions at ``(step, env)``, with actions in the environment's units."""
    return _as_batch(buffer, stored_rows(buffer, TRANSITION, steps, envs), steps, envs)


def _as_batch(buffer: ReplayBuffer, rows: list[Any], steps: np.ndarray, envs: np.ndarray) -> Batch:
    observations, actions, next_observations = rows
    executed = executed_actions(actions, buffer.action_space)
    return Batch(observations, executed, next_observations, terminations(buffer, steps, envs))


def executed_actions(stored: Tensor, action_space: spaces.Space) -> Tensor:
    """Return actions in the environment's units; SB3 stores those of a Box space scaled to [-1, 1]."""
    if isinstance(action_space, spaces.Box):
        half_width = 0.5 * (action_space.high - action_space.low)  # in numpy, since this runs at every gradient step
        low, half = (torch.as_tensor(bound, device=stored.device) for bound in (action_space.low, half_width))
        return low + half * (stored.reshape(len(stored), *action_space.shape) + 1.0)
    return stored.reshape(len(stored)) if isinstance(action_space, spaces.Discrete) else stored
