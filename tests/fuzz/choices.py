"""Bytes as a sequence of choices: what a fuzzer draws, and what decides how a file is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Choices read from bytes, one after the other; where those end, the first of the possible ones.

    Args:
        data: from hypothesis or atheris. Equal bytes make equal choices.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def bytes(self, count: int) -> bytes:
        """At most ``count`` of the bytes."""
        start, self._place = self._place, min(len(self._data), self._place + count)
        return self._data[start : self._place]

    def below(self, count: int) -> int:
        """A number from 0 to ``count - 1``."""
        width = max(1, (count - 1).bit_length() + 7 >> 3)
        return int.from_bytes(self.bytes(width), "little") % count if count > 1 else 0

    def of(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]
