"""Concatenate the keys of a Dict observation into one array."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gymnasium import spaces

from ganq_irl.errors import DemoFormatError


def check_keys(shapes: Mapping[str, tuple[int, ...]], space: spaces.Space | None, source: str) -> None:
    """Raise unless the concatenated keys have the size of the environment's Box.

    Args:
        shapes: key -> shape of one step.
        space: the environment's observation space, if known.
        source: name for error messages.

    Raises:
        DemoFormatError: the sizes differ; the message lists the keys and those that would fit.
    """
    if not isinstance(space, spaces.Box):
        return
    wanted, sizes = math.prod(space.shape), {key: math.prod(shape) for key, shape in shapes.items()}
    if sum(sizes.values()) == wanted:
        return
    listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
    fitting = next((key for key, size in sizes.items() if size == wanted), "KEY[,KEY...]")
    raise DemoFormatError(
        f"{source}: its observations {listed} have {sum(sizes.values())} numbers per step in total, but the environment has "
        f"{wanted} ({space}); choose with --columns observations={fitting}"
    )


def order_remark(keys: list[str], why: str) -> str:
    """Return a remark about the order in which keys were concatenated."""
    return (
        f"observations are its keys {', '.join(keys)}, concatenated in this order ({why}); choose another with --columns "
        "observations=KEY[,KEY...]"
    )
