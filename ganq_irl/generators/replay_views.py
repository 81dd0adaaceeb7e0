"""Replay buffers over another one: the other one stores, and the view decides what a sample looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class ReplayView(ReplayBuffer):
    """Base class for replay buffers that store nothing themselves.

    Everything that a view does not define, arrays and position included, is the stored buffer's. A view is never pickled:
    in its place goes the stored buffer, which is the one that the model has before and after.

    Args:
        stored: the buffer below, which may be a view itself.
    """

    def __init__(self, stored: ReplayBuffer) -> None:
        self.stored = stored  # SB3's own constructor would allocate arrays

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stored, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.stored,)

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a transition of each environment."""
        self.stored.add(*args, **kwargs)

    def reset(self) -> None:
        """Forget what is stored."""
        self.stored.reset()


def stored_in(buffer: Any) -> Any:
    """The buffer that holds the transitions, below any views."""
    return stored_in(buffer.stored) if isinstance(buffer, ReplayView) else buffer


@contextmanager
def replaying(model: OffPolicyAlgorithm, view: ReplayView) -> Iterator[None]:
    """Let a model learn from a view of its replay buffer, and give it the buffer back afterwards."""
    before = model.replay_buffer
    model.replay_buffer = view
    try:
        yield
    finally:
        model.replay_buffer = before


def _itself(buffer: ReplayBuffer) -> ReplayBuffer:
    return buffer
