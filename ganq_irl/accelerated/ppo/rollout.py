"""A policy during one rollout, in which it does not change: it acts at every step, and values all of it at the end."""

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
"""Of the critic's batch at the end of a rollout; more would only be slower, and cost memory."""


class Timeout(NamedTuple):
    """An episode that was cut by a time limit, whose last observation is to be valued."""

    step: int
    env: int
    observation: np.ndarray


class FrozenPolicy:
    """Acts as the policy does, and keeps what log-probabilities at the end need.

    Args:
        policy: one that ``why_slow`` lets pass.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        self._network = ActorCritic(policy)
        self._device, self._action_shape = policy.device, policy.action_space.shape or ()
        self._outputs: list[Tensor] = []
        self._actions: list[Tensor] = []

    def act(self, observations: np.ndarray) -> np.ndarray:
        """``(n_envs, *observation_shape) -> (n_envs, *action_shape)``: SB3's own draw, bit for bit; not clipped."""
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
        """Fill in the buffer's values and log-probabilities, and add γV(terminal observation) at time limits.

        Args:
            buffer: filled but for these.
            last_observations: those after the last step, ``(n_envs, *observation_shape)``.
            timeouts: time limits that were hit.
            gamma: discount of the values there.

        Returns:
            Values of the last observations, ``(n_envs, 1)``, and the last step's log-probabilities, ``(n_envs,)``.

        Raises:
            TrainingDiverged: the policy gave a number that is not finite.
        """
        log_probs = self._network.head.evaluate(torch.cat(self._outputs), torch.cat(self._actions))[0]
        if not math.isfinite(log_probs.sum()):
            raise TrainingDiverged(
                "the policy's log-probabilities are no longer finite: an observation is not, or its parameters are not; "
                "look for NaN in the observations, or lower the learning rate"
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
    """``RolloutBuffer.add`` without values and log-probabilities, which come at the end."""
    step = buffer.pos
    buffer.observations[step] = observations
    buffer.actions[step] = actions.reshape(buffer.actions.shape[1:])
    buffer.rewards[step] = rewards
    buffer.episode_starts[step] = episode_starts
    buffer.pos += 1
    buffer.full = buffer.pos == buffer.buffer_size
