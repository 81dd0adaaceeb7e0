"""Gymnasium spaces as JSON, so that files need no pickling, and comparisons of spaces."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import IncompatibleSpaces, StorageError

MAX_SIZE = 2**24
"""Maximum number of values in an observation or action of a file; more indicates a damaged or hostile file."""

_LEAVES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def unsupported_space(what: str, space: spaces.Space) -> str | None:
    """Return a sentence on why demonstrations do not support such observations or actions, or None if they do.

    Args:
        what: "observations" or "actions".
        space: their space.
    """
    leaves = list(space.spaces.values()) if isinstance(space, spaces.Dict) else [space]
    if isinstance(space, spaces.Dict) and (what == "actions" or any(isinstance(leaf, spaces.Dict) for leaf in leaves)):
        kind = "a Dict of actions" if what == "actions" else "a Dict inside a Dict"
        return f"{what}: {kind} is not supported; flatten it in a wrapper, such as gymnasium.wrappers.FlattenObservation"
    if isinstance(space, spaces.Dict) and not all(isinstance(key, str) for key in space.spaces):
        return f"{what}: the keys {list(space.spaces)} of a Dict are not all strings; rename them in a wrapper"
    for leaf in leaves:
        if not isinstance(leaf, _LEAVES):
            return f"{what}: {_refusal_of(leaf)}"
    return None


def has_scalars(space: spaces.Space) -> bool:
    """Return whether a space contains a Box without axes, which Stable-Baselines3 does not support."""
    leaves = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    return any(isinstance(leaf, spaces.Box) and leaf.shape == () for leaf in leaves)


def check_supported(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Check that demonstrations support these spaces; see ``unsupported_space``.

    Raises:
        IncompatibleSpaces: they do not.
    """
    for what, space in (("observations", observation_space), ("actions", action_space)):
        if (reason := unsupported_space(what, space)) is not None:
            raise IncompatibleSpaces(reason)


def space_to_json(space: spaces.Space) -> dict[str, Any]:
    """Describe a Box, Discrete, MultiDiscrete, MultiBinary or Dict space in JSON.

    Bounds that are the same everywhere become one number; infinities become the strings "inf" and "-inf".

    Raises:
        IncompatibleSpaces: for any other kind of space.
    """
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "shape": list(space.shape),
            "dtype": np.dtype(space.dtype).name,
            "low": _bound_to_json(space.low),
            "high": _bound_to_json(space.high),
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        start = getattr(space, "start", np.zeros_like(space.nvec))
        shifted = {"start": start.tolist()} if start.any() else {}
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist(), **shifted}
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "n": np.asarray(space.n).tolist()}
    if isinstance(space, spaces.Dict):
        return {"type": "Dict", "spaces": {key: space_to_json(value) for key, value in space.spaces.items()}}
    raise IncompatibleSpaces(_refusal_of(space))


def space_from_json(description: dict[str, Any]) -> spaces.Space:
    """Build the space that ``space_to_json`` described.

    Raises:
        StorageError: the description is malformed.
    """
    try:
        if _size(description) > MAX_SIZE:
            raise StorageError(f"given a space of {_size(description)} numbers; expected at most {MAX_SIZE}")
        kind = description["type"]
        if kind == "Box":
            shape, dtype = tuple(description["shape"]), np.dtype(description["dtype"])
            low, high = (_bound_from_json(description[side], shape, dtype) for side in ("low", "high"))
            return spaces.Box(low, high, shape=shape, dtype=dtype.type)
        if kind == "Discrete":
            return spaces.Discrete(description["n"], start=description["start"])
        if kind == "MultiDiscrete":
            shifted: dict[str, Any] = {"start": np.asarray(description["start"])} if "start" in description else {}
            return spaces.MultiDiscrete(np.asarray(description["nvec"]), **shifted)
        if kind == "MultiBinary":
            return spaces.MultiBinary(description["n"])
        if kind == "Dict":
            # Ordered: gymnasium sorts other mappings, and a policy concatenates its inputs in the order of the keys.
            return spaces.Dict(OrderedDict((key, space_from_json(value)) for key, value in description["spaces"].items()))
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"malformed description of a space: {str(description)[:200]} ({error})") from error
    raise StorageError(f"unknown kind of space {kind!r}; known: Box, Discrete, MultiDiscrete, MultiBinary, Dict")


def check_same_space(given: spaces.Space, expected: spaces.Space, what: str) -> None:
    """Check that two spaces have the same kind, shape and counts; bounds may differ.

    Raises:
        IncompatibleSpaces: they differ; the message names ``what`` and both spaces.
    """
    if _signature(given) != _signature(expected):
        raise IncompatibleSpaces(f"{what}: given {given}, expected {expected}")


def in_layout_of(space: spaces.Space, observations: Any) -> Any:
    """Transpose images from channels last to channels first if ``space`` has channels first.

    SB3 transposes images for its policies; environments and demonstrations keep the original layout.

    Args:
        space: observation space in the wanted layout.
        observations: a batch of arrays or tensors ``(batch, *shape)``, or a dict of them.
    """
    if isinstance(space, spaces.Dict):
        return {key: in_layout_of(space.spaces[key], observations[key]) for key in space.spaces}
    if len(space.shape or ()) != 3 or tuple(observations.shape[1:]) == space.shape:
        return observations
    if isinstance(observations, np.ndarray):
        return np.transpose(observations, (0, 3, 1, 2))
    return observations.permute(0, 3, 1, 2)


def space_in_layout_of(space: spaces.Space, given: spaces.Space) -> spaces.Space:
    """Return ``given`` with images transposed to channels first, where that gives the images of ``space``."""
    if isinstance(space, spaces.Dict) and isinstance(given, spaces.Dict) and space.spaces.keys() == given.spaces.keys():
        return spaces.Dict({key: space_in_layout_of(space.spaces[key], value) for key, value in given.spaces.items()})
    shape = given.shape or ()
    is_transposed = isinstance(given, spaces.Box) and len(shape) == 3 and (shape[2], *shape[:2]) == space.shape
    return space if is_transposed and shape != space.shape else given


def _refusal_of(space: spaces.Space) -> str:
    return (
        f"a {type(space).__name__} space is not supported; use Box, Discrete, MultiDiscrete, MultiBinary or Dict "
        "(gymnasium.wrappers.FlattenObservation turns most others into Box)"
    )


def _size(description: dict[str, Any]) -> int:
    """Return the number of values that a description declares, before any memory is allocated."""
    kind = description["type"]
    if kind == "Dict":
        return sum(map(_size, description["spaces"].values()))
    extents = description["shape"] if kind == "Box" else description["n"] if kind == "MultiBinary" else []
    extents = [int(extent) for extent in (extents if isinstance(extents, list) else [extents])]
    if min(extents, default=0) < 0:
        raise ValueError("a size is negative")
    return math.prod(extents)


def _signature(space: spaces.Space) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _signature(value) for key, value in space.spaces.items()}
    if isinstance(space, spaces.Box):
        return ("Box", space.shape)
    return space_to_json(space)


def _bound_to_json(bound: np.ndarray) -> Any:
    values = bound.ravel()
    if values.size and (values == values[0]).all():
        return _number_to_json(values[0])
    return [_number_to_json(value) for value in values]


def _number_to_json(value: Any) -> Any:
    return str(float(value)) if np.isinf(value) else value.item()


def _bound_from_json(bound: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    values = [float(value) if isinstance(value, str) else value for value in (bound if isinstance(bound, list) else [bound])]
    array = np.array(values, dtype)  # numpy 1 wraps integers that do not fit, and makes NaN of None
    if np.isnan(array).any() or (dtype.kind in "iu" and array.tolist() != values):
        raise ValueError(f"bounds {str(bound)[:100]} are not values of {dtype}")
    return np.full(shape, array[0], dtype) if len(values) == 1 else array.reshape(shape)
