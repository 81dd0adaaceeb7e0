"""The end of an episode as an absorbing state whose reward is counted instead of learned.

An episode that terminates (not by a time limit) continues in an absorbing state s_a, from which every step leads back to it
(Kostrikov et al., 2019, section 4.2). Padded in this way to the horizon T, all episodes have the same length, and the
expert's and the policy's occupancies can be compared even if the policy falls over after ten steps. Without s_a, an end is
worth 0, so that a negative reward teaches to end episodes and a positive one to prolong them, whatever the expert does.

The log-ratio of the padded occupancies splits into two. With p the share of steps that an episode spends in s_a, T minus its
length divided by T if it terminated, and 0 otherwise, averaged over episodes (T is the time limit, or 1000 steps without
one):

    log ρ_E(s, a) / ρ_π(s, a) = log (1 - p_E) / (1 - p_π) + log ρ_E(s, a | alive) / ρ_π(s, a | alive)
    log ρ_E(s_a) / ρ_π(s_a)   = log p_E / p_π

The discriminator learns the last term of the first line from the rows themselves. The other terms are two numbers, which are
counted: a network needs no extra input for s_a, and no penalty blurs what an end is worth. A policy whose episodes end too
early is paid for every step that it stays alive, and pays for the end; one that never reaches the expert's goal is paid for
ending; and where both end alike, both numbers are 0.

The value of s_a is r(s_a) / (1 - γ), or T r(s_a) if the horizon is shorter. A terminal transition gets γ times this value on
top of its own reward. DAC's value of s_a starts at 0 and follows the generator's target networks instead.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from ganq_irl.episodes import MAX_EPISODE_STEPS
from ganq_irl.generators.internals import time_limit
from ganq_irl.rewards.forms import RewardForm
from ganq_irl_demos import Demonstrations


def absorbed_share(lengths: np.ndarray, terminated: np.ndarray, horizon: int) -> float:
    """Return the share of steps that episodes, padded to the horizon, spend in the absorbing state, in [0, 1).

    Args:
        lengths: steps of each episode, ``(n,)``.
        terminated: whether each episode terminated, ``(n,)`` bool.
        horizon: steps that every terminated episode is padded to; longer ones are not padded.

    >>> absorbed_share(np.array([10, 100]), np.array([True, False]), horizon=100)
    0.45
    """
    absorbed = np.maximum(horizon - lengths, 0)[terminated].sum()
    return float(absorbed / (absorbed + lengths.sum()))


def log_ratios(real: float, fake: float, resolution: float) -> tuple[float, float]:
    """Return the log-ratios (alive, absorbed) of two shares: log (1 - p_E) / (1 - p_π) and log p_E / p_π.

    Args:
        real: absorbed share of the demonstrations, p_E.
        fake: absorbed share of the policy, p_π.
        resolution: mass added to both states on both sides, so that neither is impossible. Shares that are equal give zeros.

    >>> log_ratios(0.0, 0.0, 0.01)
    (0.0, 0.0)
    """
    smoothed = [(share + resolution) / (1 + 2 * resolution) for share in (real, fake)]
    return math.log((1 - smoothed[0]) / (1 - smoothed[1])), math.log(smoothed[0] / smoothed[1])


class EpisodeEnds(BaseCallback):
    """Count how much of its episodes the policy spends in the absorbing state, and return what an end is worth.

    Args:
        demonstrations: the expert's episodes.
        generator: the policy's algorithm, with its environment.
        form: form of the generator's reward.
        memory: weight of the counts of earlier rounds in each round. 1 counts all steps alike, which suits fakes from a
            replay buffer.

    Attributes:
        alive: log-ratio of being alive, which is added to that of every transition.
        reward: reward of a step in the absorbing state, r(s_a).
        value: value of the absorbing state, V(s_a).
    """

    def __init__(self, demonstrations: Demonstrations, generator: BaseAlgorithm, form: RewardForm, memory: float) -> None:
        super().__init__()
        lengths, terminated = (demonstrations.arrays[name] for name in ("lengths", "terminated"))
        self.horizon = max(time_limit(generator) or MAX_EPISODE_STEPS, int(lengths.max()))
        self.form, self.memory = form, memory
        self._real = absorbed_share(lengths, terminated, self.horizon)
        self._resolution = 1 / int(lengths.sum())  # the smallest share that the demonstrations can show
        self._steps = np.zeros(generator.n_envs, dtype=np.int64)  # of each environment's current episode
        self._alive, self._absorbed = 0.0, 0.0  # steps of the policy
        self._gamma: float = generator.gamma  # type: ignore[attr-defined]  # every SB3 algorithm but its base has one
        self._steps_beyond = min(1 / (1 - self._gamma) if self._gamma < 1 else math.inf, self.horizon)
        self.alive, self.reward = 0.0, 0.0

    def _on_training_start(self) -> None:
        if self.num_timesteps == 0:
            self._steps[:] = 0

    def _on_step(self) -> bool:
        self._steps += 1
        self._alive += len(self._steps)
        for env in np.flatnonzero(self.locals["dones"]):
            if not self.locals["infos"][env].get("TimeLimit.truncated", False):
                self._absorbed += max(self.horizon - int(self._steps[env]), 0)
            self._steps[env] = 0
        return True

    def update(self) -> None:
        """Set the rewards by the counts so far; call it at the end of each round."""
        fake = self._absorbed / max(self._absorbed + self._alive, 1)
        self.alive, absorbed = log_ratios(self._real, fake, self._resolution)
        self.reward = self.form.of(absorbed)
        self._alive, self._absorbed = self.memory * self._alive, self.memory * self._absorbed

    @property
    def value(self) -> float:
        """V(s_a), the discounted sum of r(s_a) over all steps to come, or over the horizon if that is shorter."""
        return self.reward * self._steps_beyond

    def bonus(self, dones: Tensor) -> Tensor:
        """Return γ V(s_a) for rows that terminated, else 0, ``(batch,)``."""
        return self._gamma * self.value * dones

    def metrics(self) -> dict[str, float]:
        """Return what to log."""
        return {"absorbing_reward": self.reward, "absorbing_value": self.value}

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and the rewards."""
        return {"steps": self._steps.tolist(), "counts": [self._alive, self._absorbed], "rewards": [self.alive, self.reward]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        self._steps[:] = state["steps"]
        (self._alive, self._absorbed), (self.alive, self.reward) = state["counts"], state["rewards"]
