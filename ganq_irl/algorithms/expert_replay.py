"""A replay buffer of demonstrations, and a replay buffer that mixes them with the generator's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms.sampling import EpochSampler
from ganq_irl.generators.off_policy.n_step import replay_buffer_for
from ganq_irl.generators.off_policy.replay import ReplayView, samples_at, stored_in
from ganq_irl.spaces import in_layout_of
from ganq_irl.types import cat
from ganq_irl_demos import Demonstrations, Trajectory


class ExpertReplay:
    """Replay buffer of demonstrated transitions, stored in the format of the generator's buffer.

    As in SB3, Box actions are scaled to [-1, 1] and images are transposed before they are stored. Observations are
    normalized with the current statistics at sampling time. A time limit is not a termination. n-step windows end with the
    episode.

    Args:
        generator: the generator, which determines spaces, device and n-step returns.
        demonstrations: demonstrations with at least one transition.
        reward: reward of every transition.
        seed: seed for sampling, which goes through all transitions in shuffled epochs.
    """

    def __init__(self, generator: OffPolicyAlgorithm, demonstrations: Demonstrations, *, reward: float, seed: int) -> None:
        stored: Any = generator.replay_buffer
        n_steps, gamma = getattr(stored, "n_steps", 1), getattr(stored, "gamma", generator.gamma)
        kind, settings = replay_buffer_for(stored.observation_space, n_steps, gamma)
        self.buffer: Any = kind(
            demonstrations.n_transitions, stored.observation_space, stored.action_space, stored.device, n_envs=1, **settings
        )
        for trajectory in demonstrations:
            self._add(generator, trajectory, reward)
        self._rng = torch.Generator().manual_seed(seed)
        self._sampler = EpochSampler(demonstrations.n_transitions, self._rng)

    def _add(self, generator: OffPolicyAlgorithm, trajectory: Trajectory, reward: float) -> None:
        observations = in_layout_of(self.buffer.observation_space, trajectory.observations)
        actions = _as_stored(generator, trajectory.actions)
        last = len(trajectory) - 1
        for step in range(len(trajectory)):
            # A recording that does not end with a termination was cut, and the state after it has a value.
            is_cut = step == last and not trajectory.terminated
            self.buffer.add(
                _row(observations, step),
                _row(observations, step + 1),
                actions[step : step + 1],
                np.full(1, reward, dtype=np.float32),
                np.full(1, step == last),
                [{"TimeLimit.truncated": is_cut}],
            )

    def __len__(self) -> int:
        """Number of transitions."""
        return self.buffer.size()

    def draw(self, batch_size: int, env: VecNormalize | None) -> Any:
        """Sample ``batch_size`` transitions as SB3's samples, without repeats if there are enough.

        Args:
            batch_size: number of transitions.
            env: normalizes observations if the generator's environment does.
        """
        return samples_at(self.buffer, self._sampler.draw(batch_size).numpy(), env)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the sampling."""
        return {"sampler": self._sampler.state_dict(), "rng": self._rng.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of the sampling."""
        self._sampler.load_state_dict(state["sampler"])
        self._rng.set_state(state["rng"].cpu())


def joined(first: Any, second: Any) -> Any:
    """Concatenate two of SB3's samples."""
    return type(first)(*map(cat, zip(first, second, strict=True)))  # None: the discounts of one-step samples


class MixedReplay(ReplayView):
    """Replay buffer that samples a share of each batch from the demonstrations.

    Args:
        stored: the generator's replay buffer.
        expert: the demonstrations.
        share: share of the demonstrations in a batch, in (0, 1), rounded down to whole rows.
    """

    def __init__(self, stored: ReplayBuffer, expert: ExpertReplay, share: float) -> None:
        super().__init__(stored)
        self.expert, self.share = expert, share

    def sample(self, batch_size: int, env: Any = None) -> Any:
        """Return SB3's samples, with the generator's own rows first."""
        n_expert = int(batch_size * self.share)
        if hasattr(self, "n_steps"):
            stored_in(self.expert.buffer).n_steps = self.n_steps  # GAN-Q's may follow a schedule
        return joined(self._own(batch_size - n_expert, env), self.expert.draw(n_expert, env))

    def _own(self, batch_size: int, env: Any) -> Any:
        return self.stored.sample(batch_size, env=env)


def _row(observations: Any, step: int) -> Any:
    if isinstance(observations, dict):
        return {key: value[step : step + 1] for key, value in observations.items()}
    return observations[step : step + 1]


def _as_stored(generator: OffPolicyAlgorithm, actions: np.ndarray) -> np.ndarray:
    """Scale executed actions as SB3 does before it stores them."""
    if not isinstance(generator.action_space, spaces.Box):
        return actions
    scaled = generator.policy.scale_action(actions.astype(generator.action_space.dtype))
    return np.clip(scaled, -1.0, 1.0)  # rounding may exceed the bounds, where an actor's density is undefined
