"""A policy during a rollout, in which it does not change: it acts at each step, and evaluates all steps at the end."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from ganq_irl.accelerated.ppo.networks import ActorCritic
from ganq_irl.errors import TrainingDiverged

_ROWS_AT_ONCE = 4096
"""Batch size of the critic at the end of a rollout; larger batches are slower and need more memory."""


class Timeout(NamedTuple):
    """An episode that a time limit truncated, whose last observation needs a value."""

    step: int
    env: int
    observation: np.ndarray


class FrozenPolicy:
    """Act like the policy, and store what log-probabilities need at the end.

    Args:
        policy: a policy accepted by ``why_slow``.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        self._network = ActorCritic(policy)
        self._device, self._action_shape = policy.device, policy.action_space.shape or ()
        self._outputs: list[Tensor] = []
        self._actions: list[Tensor] = []

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Return SB3's actions bit for bit, not clipped: ``(n_envs, *observation_shape) -> (n_envs, *action_shape)``."""
        with torch.no_grad():
            output = self._network.actor(self._rows(observations)).clone()
            actions = self._network.head.sample(output)
        self._outputs.append(output)
        self._actions.append(actions)
        return actions.cpu().numpy().reshape((-1, *self._action_shape))

    @torch.no_grad()
    def finish(
        self, buffer: RolloutBuffer, last_observations: np.ndarray, timeouts: list[Timeout], gamma: float
    ) -> tuple[Tensor, Tensor]:
        """Compute the buffer's values and log-probabilities, and add γV(terminal observation) at time limits.

        Args:
            buffer: buffer with all other fields.
            last_observations: observations after the last step, ``(n_envs, *observation_shape)``.
            timeouts: truncated episodes.
            gamma: discount factor.

        Returns:
            Values of the last observations, ``(n_envs, 1)``, and the last step's log-probabilities, ``(n_envs,)``.

        Raises:
            TrainingDiverged: an output of the policy is not finite.
        """
        log_probs = self._network.head.evaluate(torch.cat(self._outputs), torch.cat(self._actions))[0]
        if not math.isfinite(log_probs.sum()):
            raise TrainingDiverged(
                "the policy's log-probabilities are no longer finite, because an observation or its parameters are not; "
                "check for NaN in the observations, or lower the learning rate"
            )
        n_steps, n_envs = len(self._outputs), len(last_observations)
        terminal = [timeout.observation[None] for timeout in timeouts]
        observed = buffer.observations[:n_steps].reshape((-1, *last_observations.shape[1:]))
        rows = torch.cat([self._rows(part) for part in (observed, last_observations, *terminal)])
        values = torch.cat([self._network.critic(part).clone() for part in rows.split(_ROWS_AT_ONCE)]).flatten()
        of_steps, of_last, of_terminal = values.split([n_steps * n_envs, n_envs, len(terminal)])

        buffer.values[:n_steps] = of_steps.view(n_steps, n_envs).cpu().numpy()
        buffer.log_probs[:n_steps] = log_probs.view(n_steps, n_envs).cpu().numpy()
        for timeout, value in zip(timeouts, of_terminal.tolist(), strict=True):
            buffer.rewards[timeout.step, timeout.env] += gamma * value
        return of_last.unsqueeze(1), log_probs[-n_envs:]

    def _rows(self, observations: np.ndarray) -> Tensor:
        return torch.as_tensor(observations, device=self._device).float().flatten(1)


def store_step(
    buffer: RolloutBuffer, observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray, episode_starts: np.ndarray
) -> None:
    """Add a step to the buffer like ``RolloutBuffer.add``, but without values and log-probabilities."""
    step = buffer.pos
    buffer.observations[step] = observations
    buffer.actions[step] = actions.reshape(buffer.actions.shape[1:])
    buffer.rewards[step] = rewards
    buffer.episode_starts[step] = episode_starts
    buffer.pos += 1
    buffer.full = buffer.pos == buffer.buffer_size
