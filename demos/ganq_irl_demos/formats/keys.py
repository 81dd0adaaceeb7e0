"""Observations of several keys that are concatenated to one array."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gymnasium import spaces

from ganq_irl.errors import DemoFormatError


def check_keys(shapes: Mapping[str, tuple[int, ...]], space: spaces.Space | None, source: str) -> None:
    """Raise unless the keys together have as many numbers as the environment's Box.

    Args:
        shapes: key -> shape of one step.
        space: of the environment, where known.
        source: for messages.

    Raises:
        DemoFormatError: listing the keys, and those that would fit.
    """
    if not isinstance(space, spaces.Box):
        return
    wanted, sizes = math.prod(space.shape), {key: math.prod(shape) for key, shape in shapes.items()}
    if sum(sizes.values()) == wanted:
        return
    listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
    fitting = next((key for key, size in sizes.items() if size == wanted), "KEY[,KEY...]")
    raise DemoFormatError(
        f"{source}: its observations {listed} are {sum(sizes.values())} numbers a step together, but the environment has "
        f"{wanted} ({space}); choose with --columns observations={fitting}"
    )


def order_remark(keys: list[str], why: str) -> str:
    """Return a remark on the order in which keys were concatenated."""
    return (
        f"observations are its keys {', '.join(keys)}, joined in this order ({why}); give another with --columns "
        "observations=KEY[,KEY...]"
    )
