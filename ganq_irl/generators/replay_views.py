"""Views of replay buffers: the buffer below stores transitions, and the view determines the samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class ReplayView(ReplayBuffer):
    """Base class for replay buffers that store nothing themselves.

    All attributes that a view does not define, including arrays and position, are the stored buffer's. Pickling a view
    pickles the stored buffer, which the model has before and after training.

    Args:
        stored: the buffer below, which may itself be a view.
    """

    def __init__(self, stored: ReplayBuffer) -> None:
        self.stored = stored  # SB3's constructor would allocate arrays

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stored, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.stored,)

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a transition of each environment."""
        self.stored.add(*args, **kwargs)

    def reset(self) -> None:
        """Clear the buffer."""
        self.stored.reset()


def stored_in(buffer: Any) -> Any:
    """Return the buffer that stores the transitions, below any views."""
    return stored_in(buffer.stored) if isinstance(buffer, ReplayView) else buffer


@contextmanager
def replaying(model: OffPolicyAlgorithm, view: ReplayView) -> Iterator[None]:
    """Let a model learn from a view of its replay buffer, and restore the buffer afterwards."""
    before = model.replay_buffer
    model.replay_buffer = view
    try:
        yield
    finally:
        model.replay_buffer = before


def _itself(buffer: ReplayBuffer) -> ReplayBuffer:
    return buffer
