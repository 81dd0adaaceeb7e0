"""Observations of several keys that become one array, end to end: how many numbers, and in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gymnasium import spaces

from ganq_irl.errors import DemoFormatError


def check_keys(shapes: Mapping[str, tuple[int, ...]], space: spaces.Space | None, source: str) -> None:
    """Raise where the keys together are not as many numbers as a Box.

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
    """The order in which keys were joined, for those who did not ask for one."""
    return (
        f"observations are its keys {', '.join(keys)}, joined in this order ({why}); give another with --columns "
        "observations=KEY[,KEY...]"
    )
