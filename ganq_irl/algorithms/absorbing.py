"""Absorbing states whose reward is learned, at the end of episodes (Kostrikov et al., 2019, section 4.2).

In the paper, an episode that terminates (not by a time limit) continues in an absorbing state s_a, from which every step
leads back to it: r(s_T, a_T) is followed by γ V(s_a), with V(s_a) = r(s_a) + γ V(s_a), instead of 0. The discriminator
learns r(s_a) like any other reward, from the transition of s_a to itself, which each terminated episode of either side
contains once.

The paper adds an observation to environment and networks that is 1 only in s_a. Here, environment, policy and replay buffer
do not contain it, so that the trained policy acts in the original environment:

- *Discriminator input.* s_a is marked by a bit of the input (``Batch.absorbing``), and all other inputs are zero. Its
  transitions are identical and need not be stored: each terminal row of a batch adds one. On average, a batch then has the
  same share of them as with a buffer that stores one per terminated episode.
- *Value.* A critic's value of s_a is a single number, since actions make no difference there. ``AbsorbingValue`` updates it
  with the same bootstrap whenever the generator's target network is updated.
- *Use.* Terminal transitions get r(s_T, a_T) + γ V(s_a) when they are sampled; their bootstrap is already 0. SAC's entropy
  bonus ends with the episode, as it does without absorbing states.

The paper found it less stable to use V's limit, r(s_a) / (1 - γ), from the start: it is available long before the values of
other states, which a generator's targets approach at their own pace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.internals import has_target_networks, target_clock, target_moves
from ganq_irl.types import Batch


def absorbing_transitions(rows: Batch) -> Batch:
    """Return the absorbing state's transition to itself, once per row."""
    return replace(rows.map(torch.zeros_like), absorbing=torch.ones_like(rows.dones))


def with_absorbing(batch: Batch) -> Batch:
    """Append one transition of the absorbing state to itself for each terminal row."""
    return Batch.cat(
        [replace(batch, absorbing=torch.zeros_like(batch.dones)), absorbing_transitions(batch[batch.dones != 0])]
    )


_RATE = 0.005
"""Rate of the running means of ends, that of SAC's target networks."""


class AbsorbingValue:
    """Value of the absorbing state, V(s_a), which is updated together with the generator's target networks.

    It starts at 0, like the networks approximately, and is updated whenever the targets are: V <- V + τ (r(s_a) + γ V - V).
    Only updates during imitation count (``while_imitating``), and none before the first call of ``follow``.

    Raises:
        UnsupportedGenerator: the generator has no target networks.
    """

    def __init__(self, generator: OffPolicyAlgorithm) -> None:
        if not has_target_networks(generator):
            raise UnsupportedGenerator(
                f"learns_absorbing: the value of an episode's end follows the generator's target networks, and "
                f"{type(generator).__module__.split('.')[0]}'s {type(generator).__name__} has no such torch networks; "
                "use sac, td3 or tqc, or learns_absorbing=false, which counts what an end is worth"
            )
        self.generator = generator
        self.value = 0.0
        self._counted: int | None = None  # steps of the generator that have been counted
        self._n_pending = 0  # updates of the targets that the value has not followed yet

    def follow(self, reward: float) -> None:
        """Update the value as often as the targets were since the last call; ``reward`` is the current r(s_a)."""
        self._count()
        model: Any = self.generator  # the base class has no tau, but all its subclasses do
        for _ in range(self._n_pending):
            self.value += model.tau * (reward + model.gamma * self.value - self.value)
        self._n_pending = 0

    @contextlib.contextmanager
    def while_imitating(self) -> Iterator[None]:
        """Count the targets' updates only within this context."""
        if self._counted is not None:
            self._counted = target_clock(self.generator)
        try:
            yield
        finally:
            if self._counted is not None:
                self._count()

    def _count(self) -> None:
        if self._counted is not None:
            self._n_pending += target_moves(self.generator, self._counted)
        self._counted = target_clock(self.generator)

    def terminal_bonus(self, dones: Tensor) -> Tensor:
        """Return γ V(s_a) for rows that terminated, else 0, ``(batch,)``."""
        return self.generator.gamma * self.value * dones

    def state_dict(self) -> dict[str, Any]:
        """Return the value, and how many updates of the targets were counted."""
        return {"value": self.value, "counted": self._counted, "n_pending": self._n_pending}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        self.value, self._counted, self._n_pending = state["value"], state["counted"], state["n_pending"]


class BoundedAbsorbingValue(AbsorbingValue):
    """Value of the absorbing state under LS-IQ's rewards, between -max_reward / (1 - γ) and max_reward / (1 - γ).

    Each terminal row adds one transition of the absorbing state to itself. Its reward minimizes the same squared error: the
    share of demonstrated ends times max_reward, minus the share of the policy's. Shares are those of recent batches. If only
    the policy's episodes end, an end is worth the least possible value; if both sides end equally often, it is worth 0.

    Args:
        generator: SAC or DQN.
        max_reward: bound of the reward.
    """

    def __init__(self, generator: OffPolicyAlgorithm, max_reward: float) -> None:
        super().__init__(generator)
        self.max_reward = max_reward
        self._ends = {"expert": 0.0, "policy": 0.0}  # running means of the ends in a batch

    @property
    def reward(self) -> float:
        """Reward of the absorbing state; 0 before any episode has ended."""
        expert, policy = self._ends["expert"], self._ends["policy"]
        return self.max_reward * (expert - policy) / (expert + policy) if expert + policy else 0.0

    def observe(self, dones: Tensor, n_expert: int) -> None:
        """Count the ends of a batch, ``(batch,)``, whose first ``n_expert`` rows are demonstrated."""
        for side, rows in (("expert", dones[:n_expert]), ("policy", dones[n_expert:])):
            self._ends[side] += _RATE * (float(rows.sum()) - self._ends[side])

    def state_dict(self) -> dict[str, Any]:
        """Return the value, the shares of ends, and how many updates of the targets were counted."""
        return {**super().state_dict(), "ends": dict(self._ends)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        super().load_state_dict(state)
        self._ends = dict(state["ends"])
