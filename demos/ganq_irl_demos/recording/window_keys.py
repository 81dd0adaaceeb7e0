"""Map the keys of a window to actions of a Discrete space, or to directions in a Box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, needed
from ganq_irl_demos.recording.play import DOWN, LEFT, RIGHT, UP, keys_for

AXES = ((LEFT, RIGHT), (DOWN, UP), ("a", "d"), ("s", "w"), ("j", "l"), ("k", "i"))
"""Keys that decrease and increase each dimension of a Box."""


@dataclass(frozen=True)
class WindowKeys:
    """Keys and their actions.

    Attributes:
        codes: pygame's codes of the keys in use.
        rest: action of a frame without a key; None if the environment waits for one.
        legend: one line that explains the keys.
        action: returns the action of the keys that are held, pressed last at the end; None if they have none.
    """

    codes: frozenset[int]
    rest: Any
    legend: str
    action: Callable[[Sequence[int]], Any]


def keys_of(env: gym.Env, *, noop: int | None = None, strength: float = 1.0) -> WindowKeys:
    """Return keys for an environment: its own, as in Atari; else digits and arrows, or a pair per dimension of a Box.

    Args:
        env: environment with Discrete actions, or a bounded Box with one axis.
        noop: Discrete action without a key; by default the environment waits.
        strength: how far a key moves a dimension of a Box towards its bound, above 0 to 1.

    Raises:
        ConfigurationError: too many actions or dimensions, no bounds, or settings that do not fit.
        MissingDependency: pygame is not installed.
    """
    space = env.action_space
    if isinstance(space, spaces.Discrete):
        if noop is not None and not space.contains(noop):
            raise ConfigurationError(f"no-op {noop} is not an action of {space}")
        return _discrete(env, space, noop)
    if noop is not None:
        raise ConfigurationError(
            f"a no-op only applies to Discrete actions; {space} rests at 0, or at the bound closest to it"
        )
    if not isinstance(space, spaces.Box) or len(space.shape) != 1 or not space.is_bounded() or space.shape[0] > len(AXES):
        raise ConfigurationError(
            f"keys can be mapped to Discrete actions or up to {len(AXES)} bounded dimensions, but this environment "
            f"has {space}; record it with a function instead"
        )
    if not 0 < strength <= 1:
        raise ConfigurationError(f"strength {strength}: expected a number above 0, up to 1")
    return _box(space, strength)


def _discrete(env: gym.Env, space: spaces.Discrete, noop: int | None) -> WindowKeys:
    own = getattr(env.unwrapped, "get_keys_to_action", None)
    if own is not None:
        actions = {_codes(keys): int(action) for keys, action in own().items()}
        noop = actions.pop((), noop) if noop is None else noop
    else:
        actions = {(_code(name),): action for name, action in keys_for(space).items()}
    legend = "  ".join(f"{'+'.join(map(_name, codes))} {action}" for codes, action in actions.items())

    def action_of(held: Sequence[int]) -> int | None:
        together = actions.get(tuple(sorted(set(held))))
        known = [actions[(code,)] for code in held if (code,) in actions]
        return together if together is not None else known[-1] if known else None

    return WindowKeys(frozenset(code for codes in actions for code in codes), noop, legend, action_of)


def _box(space: spaces.Box, strength: float) -> WindowKeys:
    names = AXES[: space.shape[0]]
    axes = tuple((_code(less), _code(more)) for less, more in names)
    rest = np.clip(np.zeros(space.shape), space.low, space.high)
    low, high = ((rest + strength * (bound - rest)).astype(space.dtype) for bound in (space.low, space.high))
    legend = "  ".join(f"{less}/{more} [{dimension}]" for dimension, (less, more) in enumerate(names))

    def action_of(held: Sequence[int]) -> np.ndarray | None:
        if not held:
            return None
        less_held, more_held = (np.array([pair[side] in held for pair in axes]) for side in (0, 1))
        chosen = np.where(less_held & ~more_held, low, np.where(more_held & ~less_held, high, rest))
        return chosen.astype(space.dtype)

    codes = frozenset(code for pair in axes for code in pair)
    return WindowKeys(codes, rest.astype(space.dtype), legend, action_of)


def _codes(keys: Any) -> tuple[int, ...]:
    """Return the key codes of an environment's combination, which is a code, a letter, or several of them."""
    several = (keys,) if isinstance(keys, int) else keys
    return tuple(sorted(ord(key) if isinstance(key, str) else int(key) for key in several))


def _code(name: str) -> int:
    pygame = needed("pygame", "", "playing in a window")
    return int(getattr(pygame, f"K_{name.upper() if len(name) > 1 else name}"))


def _name(code: int) -> str:
    arrow = next((name for name in (LEFT, RIGHT, UP, DOWN) if code == _code(name)), None)
    return arrow or ("space" if code == ord(" ") else chr(code))
