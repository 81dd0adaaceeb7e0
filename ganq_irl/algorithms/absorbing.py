"""Episodes that end in an absorbing state instead of in nothing (Kostrikov et al., 2019, section 4.2).

After a true termination (not a time limit) the paper's episode goes on in one absorbing state s_a, whose every step leads
back to it: r(s_T, a_T) is followed by γ V(s_a), with V(s_a) = r(s_a) + γ V(s_a), and not by 0. The discriminator learns
r(s_a) as any other reward, from the transition of s_a to itself, of which each terminated episode has one, on either side.

The paper gives environment and networks an observation more, which is 1 in s_a alone. Here neither environment, policy nor
replay buffer know of it, so that a policy trained in this way acts in the environment as it is:

- *What the discriminator sees.* s_a has a bit of its own among the inputs (``Batch.absorbing``) and nothing else. Its
  transitions are all alike, so that none need be stored: each terminal row of a batch brings one along, and a batch of rows
  then holds, on average, the share that a buffer with one such transition for each terminated episode would give.
- *What it is worth.* A critic's value of s_a is one number, since s_a is one state where no action makes a difference.
  ``AbsorbingValue`` keeps the number and moves it as the generator's target network moves, by the same bootstrap.
- *Who gets it.* The terminal transitions, as r(s_T, a_T) + γ V(s_a) when they are sampled; their bootstrap is 0 already.
  SAC's entropy bonus ends with the episode, as it does without absorbing states.

The paper found the number that V converges to, r(s_a) / (1 - γ), less stable when it is used at once: it is there long
before the values of states that go on, which a generator's targets approach at their own pace.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from ganq_irl.generators.internals import target_clock, target_moves
from ganq_irl.types import Batch


def loops(rows: Batch) -> Batch:
    """Return the absorbing state's transition to itself, once for each row."""
    return replace(rows.map(torch.zeros_like), absorbing=torch.ones_like(rows.dones))


def with_absorbing(batch: Batch) -> Batch:
    """Append one transition of the absorbing state to itself for each terminal row."""
    return Batch.cat([replace(batch, absorbing=torch.zeros_like(batch.dones)), loops(batch[batch.dones != 0])])


class AbsorbingValue:
    """Value of the absorbing state, V(s_a), which moves as the generator's target networks do.

    Starts at 0, near which networks start, and moves whenever the targets do: V <- V + τ (r(s_a) + γ V - V). Only moves
    while the generator imitates count (``while_imitating``), and none before the first call of ``follow``.
    """

    def __init__(self, generator: OffPolicyAlgorithm) -> None:
        self.generator = generator
        self.value = 0.0
        self._counted: int | None = None  # steps of the generator that were looked at
        self._n_pending = 0  # moves that the value has yet to follow

    def follow(self, reward: float) -> None:
        """Move as often as the targets have since the last call, a collection ago; ``reward`` is today's r(s_a)."""
        self._count()
        model: Any = self.generator  # tau is not of the base class, but all of them have one
        for _ in range(self._n_pending):
            self.value += model.tau * (reward + model.gamma * self.value - self.value)
        self._n_pending = 0

    @contextlib.contextmanager
    def while_imitating(self) -> Iterator[None]:
        """Count only the moves of the targets within this context."""
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
        """Return the value, and how far the targets have moved."""
        return {"value": self.value, "counted": self._counted, "n_pending": self._n_pending}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.value, self._counted, self._n_pending = state["value"], state["counted"], state["n_pending"]
