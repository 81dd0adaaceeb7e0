"""Record demonstrations that a person plays, independent of terminal and window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.episodes import bounded
from ganq_irl.errors import ConfigurationError
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.recording.recorder import TRAJECTORY, EpisodeRecorder
from ganq_irl_demos.trajectories import Trajectory

RESET, UNDO, QUIT = "r", "u", "q"
LEFT, RIGHT, UP, DOWN = "left", "right", "up", "down"


class PlaySession:
    """A session in which a person plays episodes, one action at a time.

    Args:
        env: a single environment with a Discrete or Box action space.
        seed: seed of the first episode; each later episode uses the next number.

    Raises:
        ConfigurationError: the actions cannot be mapped to keys.
        EnvironmentFailed: an observation is not finite, here or in a later step or reset.
    """

    def __init__(self, env: gym.Env, seed: int) -> None:
        if not isinstance(env.action_space, spaces.Discrete | spaces.Box):
            raise ConfigurationError(
                f"keys can be mapped to Discrete actions or, in a window, to a Box, but this environment has "
                f"{env.action_space}; record it with a function instead"
            )
        self.env, self.seed = EpisodeRecorder(bounded(env)), seed
        self.kept: list[Trajectory] = []
        self.reset()

    @property
    def steps(self) -> int:
        """Number of actions taken in the current episode."""
        return len(self.env.actions)

    @property
    def episode_return(self) -> float:
        """Sum of the rewards of the current episode."""
        return float(sum(self.env.rewards))

    def reset(self) -> None:
        """Restart the current episode with the same seed and discard its steps."""
        self.observation, _ = self.env.reset(seed=self.seed)

    def step(self, action: Any) -> bool:
        """Take an action. If the episode ends, keep it and start the next one. Return whether it ended."""
        self.observation, _, _, _, info = self.env.step(np.asarray(action, self.env.action_space.dtype)[()])
        if TRAJECTORY not in info:
            return False
        self.kept.append(info[TRAJECTORY])
        self.seed += 1
        self.reset()
        return True

    def undo(self) -> bool:
        """Discard the last kept episode and restart it from its seed. Return whether there was one."""
        if not self.kept:
            return False
        seed = self.kept.pop().seed
        assert seed is not None
        self.seed = seed
        self.reset()
        return True

    def demonstrations(self, provenance: Mapping[str, Any] | None = None) -> Demonstrations:
        """Return the kept episodes."""
        return Demonstrations(
            trajectories=tuple(self.kept),
            observation_space=self.env.observation_space,
            action_space=self.env.action_space,
            env_id=self.env.spec.id if self.env.spec is not None else None,
            provenance={"played": "by a person", "gymnasium": gym.__version__, **(provenance or {})},
            source="played episodes",
        )


def keys_for(space: spaces.Discrete) -> dict[str, int]:
    """Map keys to actions: digits for up to ten, and arrows for two, three or four actions (left down right up).

    Raises:
        ConfigurationError: there are more than ten actions.
    """
    if space.n > 10:
        raise ConfigurationError(f"{space.n} actions are more than ten digits can represent; record with a function instead")
    first = int(space.start)
    keys = {str(index): first + index for index in range(int(space.n))}
    if space.n in (2, 3):
        keys |= {LEFT: first, RIGHT: first + int(space.n) - 1}
    if space.n == 4:
        keys |= {LEFT: first, DOWN: first + 1, RIGHT: first + 2, UP: first + 3}
    return keys


def play(
    session: PlaySession,
    *,
    read_key: Callable[[], str],
    show: Callable[[str], None],
    episodes: int | None = None,
) -> Demonstrations:
    """Play until ``q``, or until ``episodes`` are kept. ``r`` restarts the episode, ``u`` undoes the last kept one.

    Args:
        session: the session to play.
        read_key: waits for a key. Arrows are called ``left right up down``, and end of input is "".
        show: displays a screen of text.
        episodes: number of episodes to play; by default until ``q``.

    Raises:
        ConfigurationError: the actions are not Discrete, or more than ten.
    """
    if not isinstance(session.env.action_space, spaces.Discrete):
        raise ConfigurationError(
            f"a terminal cannot tell how long keys are held, as {session.env.action_space} requires; use --window"
        )
    keys = keys_for(session.env.action_space)
    note = "finished episodes are kept"
    while episodes is None or len(session.kept) < episodes:
        show(_screen(session, keys, note, episodes))
        key = read_key()
        if key in (QUIT, ""):
            break
        note = _answer(session, keys, key)
    show(_screen(session, keys, "done", episodes))
    return session.demonstrations()


def _answer(session: PlaySession, keys: Mapping[str, int], key: str) -> str:
    if key in (RESET, UNDO):
        return command(session, key)
    return take(session, keys[key]) if key in keys else f"{key!r} has no action"


def command(session: PlaySession, key: str) -> str:
    """Restart the episode or undo the last one, and return a message about it."""
    if key == RESET:
        session.reset()
        return "restarted the episode"
    return "discarded the last episode; play it again" if session.undo() else "there is no episode to undo"


def take(session: PlaySession, action: Any) -> str:
    """Take an action, and return a message about it."""
    before = session.episode_return
    if not session.step(action):
        return f"action {action}, reward {session.episode_return - before:.4g}"
    kept = session.kept[-1]
    how = "terminated" if kept.terminated else "reached the time limit"
    return f"the episode {how} after {len(kept)} steps with return {kept.episode_return:.4g}: kept"


def status(session: PlaySession, episodes: int | None) -> str:
    """Return a status line: episodes kept, and step, return and seed of the current one."""
    wanted = f" of {episodes}" if episodes is not None else ""
    now = f"step {session.steps}   return {session.episode_return:.4g}   seed {session.seed}"
    return f"episodes {len(session.kept)}{wanted}   {now}"


def _screen(session: PlaySession, keys: Mapping[str, int], note: str, episodes: int | None) -> str:
    actions = "  ".join(f"{key}: {action}" for key, action in keys.items())
    return "\n".join(
        [
            status(session, episodes),
            _picture(session),
            note,
            f"actions  {actions}",
            f"{RESET} restart   {UNDO} undo the last episode   {QUIT} save and quit",
        ]
    )


def _picture(session: PlaySession) -> str:
    """Return the environment's text rendering if it has one, else its observation."""
    if session.env.render_mode == "ansi":
        return str(session.env.render()).strip("\n")
    named = session.observation.items() if isinstance(session.observation, dict) else [("observation", session.observation)]
    numbers = {name: np.asarray(value, dtype=np.float64).reshape(-1) for name, value in named}
    return "\n".join(f"{name}  " + "  ".join(f"{number:+.3f}" for number in row[:16]) for name, row in numbers.items())
