"""Which algorithms train in which spaces, and why others do not.

All checks call ``why_not``: the command line before it builds anything, the constructors in Python, and ``demos check``. The
rules are those of Stable-Baselines3, whose networks and buffers all algorithms use; ``docs/reference/spaces.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from ganq_irl.errors import IncompatibleSpaces, UnsupportedGenerator
from ganq_irl.spaces import unsupported_space

ACTION_KINDS: tuple[type[spaces.Space], ...] = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


@dataclass(frozen=True)
class Traits:
    """Properties of a generator that decide where it can train.

    Attributes:
        acts_in: kinds of action space that it supports.
        replays: whether it learns from a replay buffer; Stable-Baselines3 then scales continuous actions to [-1, 1].
        has_log_prob: whether log π(a|s) is known, which AIRL needs.
        reads_dicts: whether its networks take Dict observations.

    Example:
        >>> Traits(acts_in=(spaces.Discrete,), replays=True).has_log_prob
        True
    """

    acts_in: tuple[type[spaces.Space], ...] = ACTION_KINDS
    replays: bool = False
    has_log_prob: bool = True
    reads_dicts: bool = True


_ON_POLICY = Traits()
_VALUES = Traits((spaces.Discrete,), replays=True)
_SOFT = Traits((spaces.Box,), replays=True)
_DETERMINISTIC = Traits((spaces.Box,), replays=True, has_log_prob=False)

TRAITS: dict[str, Traits] = {
    "ppo": _ON_POLICY,
    "fast-ppo": _ON_POLICY,
    "a2c": _ON_POLICY,
    "trpo": _ON_POLICY,
    "sac": _SOFT,
    "fast-sac": _SOFT,
    "td3": _DETERMINISTIC,
    "fast-td3": _DETERMINISTIC,
    "ddpg": _DETERMINISTIC,
    "tqc": _SOFT,
    "crossq": Traits((spaces.Box,), replays=True, reads_dicts=False),
    "dqn": _VALUES,
    "qrdqn": _VALUES,
    "gan-q": _VALUES,
    "gan-q-continuous": _DETERMINISTIC,
}
"""Traits by generator name; ``register_generator`` adds to them."""

EXACT_TWINS = {"fast-ppo": "ppo", "fast-sac": "sac", "fast-td3": "td3"}
"""Accelerated generator -> the one that computes the same, which runs where the package ``accelerated`` is missing."""

IMITATION = (
    "gail",
    "airl",
    "fairl",
    "dac",
    "wail",
    "vail",
    "gaifo",
    "amp",
    "sqil",
    "iq-learn",
    "ls-iq",
    "dagger",
    "preferences",
    "t-rex",
    "d-rex",
    "bc",
)
WITHOUT_DEMONSTRATIONS = ("preferences",)
"""Imitation algorithms that learn from something else; demonstrations may help them."""
REPLAYING = ("dac", "sqil", "iq-learn", "ls-iq")
"""Imitation algorithms that need a generator with a replay buffer."""
INVERSE_SOFT_Q = ("iq-learn", "ls-iq")
"""Imitation algorithms that replace the critic update of their generator."""
DEFAULT_GENERATOR = "fast-ppo"
"""Default on-policy generator: equals Stable-Baselines3's PPO up to rounding, in half the time or less."""
_SOFT_LEARNERS = ("sac", "fast-sac", "dqn")
"""Generators whose critic update IQ-Learn and LS-IQ can replace."""


def default_generator(algo: str, action_space: spaces.Space) -> str:
    """Return the default generator of an imitation algorithm.

    Example:
        >>> default_generator("dac", env.action_space)
        'dqn'
    """
    if algo not in REPLAYING:
        return DEFAULT_GENERATOR
    return "dqn" if isinstance(action_space, spaces.Discrete) else "fast-sac"


def check_trains(
    algo: str,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    generator: str | None = None,
    traits: Traits | None = None,
) -> None:
    """Check that an algorithm trains in these spaces; see ``why_not``.

    Raises:
        IncompatibleSpaces: the algorithm cannot train in these spaces.
        UnsupportedGenerator: the algorithm cannot train this generator in any spaces.

    Example:
        >>> check_trains("gail", env.observation_space, env.action_space)
        >>> check_trains("dac", env.observation_space, env.action_space, generator="sac")
        Traceback (most recent call last):
        ganq_irl.errors.IncompatibleSpaces: ...
    """
    reason = why_not(algo, observation_space, action_space, generator, traits)
    if reason is None:
        return
    takes_it = generator is None or _why_no_generator(algo, generator, traits or TRAITS[generator]) is None
    if takes_it or _why_never(observation_space, action_space) is not None:
        raise IncompatibleSpaces(reason)
    raise UnsupportedGenerator(reason)


def why_not(
    algo: str,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    generator: str | None = None,
    traits: Traits | None = None,
) -> str | None:
    """Return one sentence on why an algorithm cannot train in these spaces and what can, or None if it can.

    Args:
        algo: name of an imitation algorithm, or of a generator that learns from the environment's reward.
        observation_space: observation space of the environment.
        action_space: action space of the environment.
        generator: generator of an imitation algorithm; by default ``default_generator``.
        traits: traits of a generator that is not in ``TRAITS``.

    Example:
        >>> print(why_not("gail", env.observation_space, env.action_space))
        None
        >>> print(why_not("dac", env.observation_space, env.action_space, generator="sac"))
        sac acts in Box spaces, and the actions are Discrete(2); use dqn, qrdqn or gan-q as its generator
    """
    never = _why_never(observation_space, action_space)
    if never is not None or algo == "bc":
        return never
    name = generator or (default_generator(algo, action_space) if algo in IMITATION else algo)
    traits = traits or TRAITS[name]
    reason = _why_no_generator(algo, name, traits) or _why_no_spaces(name, traits, observation_space, action_space)
    return None if reason is None else f"{reason}; {_instead(algo, name, traits, observation_space, action_space)}"


def trained_by(observation_space: spaces.Space, action_space: spaces.Space) -> list[str]:
    """Return the imitation algorithms that train in these spaces with some generator, in a fixed order.

    Example:
        >>> "dac" in trained_by(env.observation_space, env.action_space)
        True
    """
    return [algo for algo in IMITATION if _ways(algo, observation_space, action_space)]


def _why_never(observation_space: spaces.Space, action_space: spaces.Space) -> str | None:
    """Return the first reason that applies to all algorithms, or None."""
    named = (("observations", observation_space), ("actions", action_space))
    return next((reason for what, space in named for reason in _of_any_algorithm(what, space)), None)


def _of_any_algorithm(what: str, space: spaces.Space) -> Iterator[str]:
    wrapper = "gymnasium.ObservationWrapper" if what == "observations" else "gymnasium.ActionWrapper"
    unsupported = unsupported_space(what, space)
    if unsupported is not None:
        yield unsupported
        return
    leaves = space.spaces.items() if isinstance(space, spaces.Dict) else [("", space)]
    if not leaves:
        yield f"{what} of an empty Dict contain nothing to learn from; add a space in a {wrapper}"
    for key, leaf in leaves:
        name = f"{what} under the key {key!r}, {_shown(leaf)}," if isinstance(space, spaces.Dict) else _of(what, leaf)
        yield from _of_any_leaf(name, leaf, wrapper)
    if what == "actions":
        yield from _of_any_actions(space, wrapper)


def _of_any_leaf(name: str, space: spaces.Space, wrapper: str) -> Iterator[str]:
    if np.any(getattr(space, "start", 0)):
        yield f"{name} do not start at 0, as Stable-Baselines3 requires; shift them in a {wrapper}"
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim != 1:
        yield f"{name} have {space.nvec.ndim} axes, and Stable-Baselines3 supports one; flatten them in a {wrapper}"
    if 0 in (space.shape or ()):
        yield f"{name} contain no numbers; leave them out, or add values in a {wrapper}"


def _of_any_actions(space: spaces.Space, wrapper: str) -> Iterator[str]:
    if isinstance(space, spaces.MultiBinary) and len(space.shape) != 1:
        yield (
            f"{_of('actions', space)} have {len(space.shape)} axes, and Stable-Baselines3 supports one; "
            f"flatten them in a {wrapper}"
        )
    if isinstance(space, spaces.Box) and np.dtype(space.dtype).kind != "f":
        yield (
            f"{_of('actions', space)} are integers, and policies output fractions in a Box; "
            f"use a MultiDiscrete space, or a float Box that a {wrapper} rounds"
        )


def _why_no_generator(algo: str, name: str, traits: Traits) -> str | None:
    if algo in INVERSE_SOFT_Q and name not in _SOFT_LEARNERS:
        return f"{algo} replaces the critic update of sac or dqn, and {name} has another"
    if algo in REPLAYING and not traits.replays:
        return f"{algo} learns from a replay buffer, and {name} has none"
    if algo == "dagger" and traits.replays:
        return f"dagger trains between rollouts, and {name} learns from a replay buffer instead"
    if algo == "airl" and not traits.has_log_prob:
        return f"airl needs log π(a|s), and {name}'s policy has none"
    return None


def _why_no_spaces(name: str, traits: Traits, observations: spaces.Space, actions: spaces.Space) -> str | None:
    if isinstance(observations, spaces.Dict) and not traits.reads_dicts:
        return f"{name} reads observations of one array, and these are {_shown(observations)}"
    return _why_no_actions(name, traits, actions)


def _why_no_actions(name: str, traits: Traits, space: spaces.Space) -> str | None:
    if not isinstance(space, traits.acts_in):
        kinds = _one_of([kind.__name__ for kind in traits.acts_in])
        return f"{name} acts in {kinds} spaces, and the actions are {_shown(space)}"
    if not isinstance(space, spaces.Box):
        return None
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        return f"{_of('actions', space)} are unbounded, and {name} needs finite bounds"
    if traits.replays:
        with np.errstate(over="ignore"):
            width = np.ravel(space.high - space.low)
        wrong = np.flatnonzero(~np.isfinite(width) | (width <= 0))
        if wrong.size:
            what = "no width" if width[wrong[0]] <= 0 else "a width that float32 cannot hold"
            return f"{name} scales actions by their bounds, and those of {_shown(space)} have {what} in dimension {wrong[0]}"
    return None


def _instead(algo: str, name: str, traits: Traits, observation_space: spaces.Space, action_space: spaces.Space) -> str:
    """Return what trains in these spaces: the same algorithm with another generator, or another algorithm."""
    ways = _ways(algo, observation_space, action_space)
    if algo not in IMITATION:
        return f"use {_one_of(ways)}" if ways else "bc clones demonstrations there, or bound the actions in a wrapper"
    if not ways:
        return f"use {_one_of(trained_by(observation_space, action_space))}"
    with_it = algo != "gail" and _why_no_spaces(name, traits, observation_space, action_space) is None
    return f"use {_one_of(ways)} as its generator" + (f", or gail with {name}" if with_it else "")


def _ways(algo: str, observation_space: spaces.Space, action_space: spaces.Space) -> list[str]:
    """Return the generators with which an algorithm trains; for a generator, all that train in its place."""
    if _why_never(observation_space, action_space) is not None:
        return []
    if algo == "bc":
        return ["bc"]
    return [
        name
        for name, traits in TRAITS.items()
        if name not in EXACT_TWINS  # named by what they are twins of
        and _why_no_spaces(name, traits, observation_space, action_space) is None
        and _why_no_generator(algo, name, traits) is None
    ]


def _of(what: str, space: spaces.Space) -> str:
    return f"{what} of {_shown(space)}"


def _shown(space: spaces.Space) -> str:
    """Format a space on one line of at most 100 characters."""
    text = " ".join(str(space).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _one_of(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
