"""Play in a window: keys that are held down become actions, at the environment's frame rate.

Window, resizing and drawing come from Gymnasium's play utility; the episodes from a ``PlaySession``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganq_irl.errors import ConfigurationError, needed
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.formats.limits import brief
from ganq_irl_demos.recording.play import QUIT, RESET, UNDO, PlaySession, command, status, take
from ganq_irl_demos.recording.window_keys import WindowKeys

FPS = 30


class WindowPlay:
    """A session in a window.

    An episode starts with the first key. From then on, ``keys.rest`` is the action of frames without a key; if it is None,
    the environment waits.

    Args:
        session: session of an environment made with ``render_mode="rgb_array"``.
        keys: the keys and their actions.
        fps: steps per second; by default the environment's.
        zoom: size of the window relative to the environment's images.

    Raises:
        ConfigurationError: the environment renders no images, or there is no display.
        MissingDependency: pygame is not installed.
    """

    def __init__(self, session: PlaySession, keys: WindowKeys, *, fps: int | None = None, zoom: float | None = None) -> None:
        if session.env.render_mode != "rgb_array":
            raise ConfigurationError(
                'the environment renders no images; make it with render_mode="rgb_array", or play in text'
            )
        self.pygame: Any = needed("pygame", "", "playing in a window")
        from gymnasium.utils import play as utility

        self.session, self.keys, self._utility = session, keys, utility
        self.fps = fps or int(session.env.metadata.get("render_fps") or FPS)
        self.held: list[int] = []
        self.note = "the first key starts an episode, and finished episodes are kept"
        try:
            self.pygame.display.init()
            self.game = utility.PlayableGame(session.env, {}, zoom)  # used for sizing only; we handle keys
        except self.pygame.error as error:
            raise ConfigurationError(f"no window can be opened here ({brief(error)}); play in the terminal") from error

    def run(self, show: Callable[[str], None], episodes: int | None = None) -> Demonstrations:
        """Play until ``q``, escape or the window is closed, or until ``episodes`` are kept.

        Args:
            show: displays a line of text whenever it changes.
            episodes: number of episodes to play.
        """
        clock, shown = self.pygame.time.Clock(), ""
        try:
            while self.game.running and (episodes is None or len(self.session.kept) < episodes):
                self.frame(self.pygame.event.get())
                line = status(self.session, episodes)
                if line != shown:
                    shown = line
                    show(line)
                self._draw(line)
                clock.tick(self.fps)
        finally:
            self.pygame.quit()
        return self.session.demonstrations()

    def frame(self, events: Sequence[Any]) -> None:
        """Process the events since the last frame, and take at most one action; a tap counts as held for one frame."""
        before_frame, tapped = list(self.held), list[int]()
        for event in events:
            self.game.process_event(event)
            if event.type == self.pygame.KEYUP and event.key in self.held:
                self.held.remove(event.key)
                tapped += [event.key] if event.key not in before_frame else []
            elif event.type == self.pygame.KEYDOWN:
                self._pressed(event.key)
        before = len(self.session.kept)
        action = self.keys.action([*tapped, *self.held])
        if action is None and self.session.steps:
            action = self.keys.rest
        if action is not None:
            self.note = take(self.session, action)
        if len(self.session.kept) > before:
            self.held.clear()  # the next episode waits for a new key

    def _pressed(self, key: int) -> None:
        name = self.pygame.key.name(key)
        if name == QUIT:
            self.game.running = False
        elif name in (RESET, UNDO):
            self.held.clear()
            self.note = command(self.session, name)
        elif key in self.keys.codes and key not in self.held:
            self.held.append(key)

    def _draw(self, line: str) -> None:
        picture = np.asarray(self.session.env.render())
        self._utility.display_arr(self.game.screen, picture, self.game.video_size, True)
        self.pygame.display.set_caption(f"{line}   {self.keys.legend}   r restart  u undo  q save   {self.note}")
        self.pygame.display.flip()
