"""Experts that can be asked for the action in an observation, or who take over."""

from __future__ import annotations

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ganq_irl.environments.own import named_function, names_function
from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policies.starting import policy_folder
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.spaces import check_same_space
from ganq_irl_demos.recording.play import QUIT, keys_for
from ganq_irl_demos.recording.terminal import keys, show

PERSON = "person"
LEAVE, LEAVE_LONG, LONG = " ", "g", 25
"""Keys with which a person lets the policy act for one step, or for many, and how many."""


class Expert(ABC):
    """Base class for experts.

    Attributes:
        takes_over: whether its actions are executed instead of the policy's.
        has_left: whether it can no longer be asked, so that training stops.

    Example:
        >>> issubclass(FunctionExpert, Expert) and issubclass(Person, Expert)
        True
    """

    takes_over = False
    has_left = False

    def session(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the expert can be asked."""
        return contextlib.nullcontext()

    @abstractmethod
    def correct(self, observations: Any, actions: np.ndarray) -> list[Any]:
        """Return the expert's action for each observation, or None where it has none.

        Args:
            observations: raw observations as the generator sees them, ``(n, *shape)``; images are channels first.
            actions: what the policy wants to do, ``(n, *shape)``.
        """


class FunctionExpert(Expert):
    """A function of observations, ``(n, *shape) -> (n, *action_shape)``. It labels, and the policy acts.

    Args:
        function: the function, such as ``lambda observations: model.predict(observations, deterministic=True)[0]``.
        action_space: space of the actions.

    Example:
        >>> expert = FunctionExpert(lambda observations: np.zeros(len(observations), int), env.action_space)
        >>> expert.correct(demos[0].observations[:2], np.array([1, 1]))
        [0, 0]
    """

    def __init__(self, function: Callable[[Any], Any], action_space: spaces.Space) -> None:
        self.function, self.action_space = function, action_space

    def correct(self, observations: Any, actions: np.ndarray) -> list[Any]:
        """Return the function's actions.

        Raises:
            ConfigurationError: it returned something else than an action of the space for each observation.
        """
        found = np.asarray(self.function(observations))
        dtype = self.action_space.dtype
        if found.shape != actions.shape or not np.can_cast(found.dtype, dtype or found.dtype, "same_kind"):
            raise ConfigurationError(
                f"the expert returned {found.dtype} of shape {found.shape}; expected {dtype} of shape {actions.shape}, an "
                "action for each observation"
            )
        if isinstance(self.action_space, spaces.Box):
            found = np.clip(found, self.action_space.low, self.action_space.high)
        found = found.astype(dtype)
        for action in found:
            if not self.action_space.contains(action):
                raise ConfigurationError(f"the expert returned the action {action}, which is not in {self.action_space}")
        return list(found)


class Person(Expert):
    """A person at the keyboard, who watches the policy, takes over with the keys of actions, and hands back with space.

    Args:
        action_space: Discrete actions, at most ten.
        read_key: waits for a key; by default from the terminal.
        show: displays a screen of text; by default in the terminal.
        picture: returns a picture of the environment as text, or None for the numbers of the observation.

    Raises:
        ConfigurationError: the actions cannot be mapped to keys.
    """

    takes_over = True

    def __init__(
        self,
        action_space: spaces.Space,
        read_key: Callable[[], str] | None = None,
        show: Callable[[str], None] | None = None,
        picture: Callable[[], str | None] = lambda: None,
    ) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise ConfigurationError(f"a person's keys are Discrete actions, not {action_space}; give a run or a function")
        self.keys = keys_for(action_space)
        self.read_key, self.show, self.picture = read_key, show, picture
        self.n_corrections, self._left = 0, 0

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Read keys from the terminal meanwhile, unless there is another source of keys."""
        if self.read_key is not None:
            yield
            return
        with keys() as read_key:
            self.read_key, self.show = read_key, show
            try:
                yield
            finally:
                self.read_key = self.show = None

    def correct(self, observations: Any, actions: np.ndarray) -> list[Any]:
        """Return the person's action, or None where the person lets the policy act."""
        if self._left or self.has_left:
            self._left = max(0, self._left - 1)
            return [None]
        assert self.read_key is not None
        note = ""
        while True:
            if self.show is not None:
                self.show(self._screen(observations, actions[0], note))
            key = self.read_key()
            if key in (QUIT, ""):
                self.has_left = True
                return [None]
            if key in (LEAVE, LEAVE_LONG):
                self._left = LONG - 1 if key == LEAVE_LONG else 0
                return [None]
            if key in self.keys:
                self.n_corrections += 1
                return [self.keys[key]]
            note = f"{key!r} has no action"

    def _screen(self, observations: Any, action: Any, note: str) -> str:
        named = observations.items() if isinstance(observations, dict) else [("observation", observations)]
        numbers = [f"{name}  " + "  ".join(f"{x:+.3f}" for x in np.ravel(rows[0])[:16]) for name, rows in named]
        keys = "  ".join(f"{key}: {value}" for key, value in self.keys.items())
        return "\n".join(
            [
                f"corrections {self.n_corrections}   the policy's action: {action}",
                self.picture() or "\n".join(numbers),
                note,
                f"take over  {keys}",
                f"space let the policy act   {LEAVE_LONG} for {LONG} steps   {QUIT} stop and keep what was learned",
            ]
        )


def build_expert(
    expert: str | Callable[[Any], Any] | Expert, action_space: spaces.Space, picture: Callable[[], str | None] = lambda: None
) -> Expert:
    """Return an expert.

    Args:
        expert: a run directory or the folder of a policy, ``module:function``, ``person``, a function as for
            ``FunctionExpert``, or an ``Expert``.
        action_space: space of the actions.
        picture: as for ``Person``.

    Raises:
        ConfigurationError: the actions cannot be mapped to keys, there is no terminal for a person, or the user did not name
            the module.
        RunDirectoryError: there is no policy in the folder.
        IncompatibleSpaces: the policy has other actions.
    """
    if isinstance(expert, Expert):
        return expert
    if not isinstance(expert, str):
        return FunctionExpert(expert, action_space)
    if expert == PERSON:
        person = Person(action_space, picture=picture)
        if not sys.stdin.isatty():
            raise ConfigurationError("the expert is a person, and standard input is not a terminal; run this in a terminal")
        return person
    if names_function(expert):
        return FunctionExpert(named_function(expert), action_space)
    stored = load_policy(policy_folder(expert), "cpu")
    check_same_space(stored.action_space, action_space, f"{expert}: action space of the expert")
    return FunctionExpert(lambda observations: stored.predict(observations, deterministic=True)[0], action_space)
