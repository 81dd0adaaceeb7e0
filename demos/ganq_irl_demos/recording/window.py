"""Play in a window: held keys become actions, at the environment's frame rate.

Window, resizing and drawing are those of Gymnasium's play utility; what is played is a ``PlaySession``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganq_irl.errors import ConfigurationError
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.formats.limits import brief, needed
from ganq_irl_demos.recording.play import QUIT, RESET, UNDO, PlaySession, command, status, take
from ganq_irl_demos.recording.window_keys import WindowKeys

FPS = 30


class WindowPlay:
    """One session in one window.

    An episode begins with the first key. From there on ``keys.rest`` is the action of every frame in which no key is held;
    where there is none, the environment waits.

    Args:
        session: of an environment made with ``render_mode="rgb_array"``.
        keys: what they stand for.
        fps: steps a second; by default the environment's own.
        zoom: size of the window relative to the environment's pictures.

    Raises:
        ConfigurationError: an environment that draws no images, or no display to open a window on.
        MissingDependency: pygame is not installed.
    """

    def __init__(self, session: PlaySession, keys: WindowKeys, *, fps: int | None = None, zoom: float | None = None) -> None:
        if session.env.render_mode != "rgb_array":
            raise ConfigurationError(
                'the environment draws no images; make it with render_mode="rgb_array", or play in text'
            )
        self.pygame: Any = needed("pygame", "", "playing in a window")
        from gymnasium.utils import play as utility

        self.session, self.keys, self._utility = session, keys, utility
        self.fps = fps or int(session.env.metadata.get("render_fps") or FPS)
        self.held: list[int] = []
        self.note = "an episode begins with the first key, and is kept when it ends"
        try:
            self.pygame.display.init()
            self.game = utility.PlayableGame(session.env, {}, zoom)  # it sizes the window; keys are heard here
        except self.pygame.error as error:
            raise ConfigurationError(f"no window can be opened here ({brief(error)}); play in the terminal") from error

    def run(self, show: Callable[[str], None], episodes: int | None = None) -> Demonstrations:
        """Play until ``q``, escape or the window's closing, or until there are ``episodes``.

        Args:
            show: displays a line of text, each time that it changes.
            episodes: how many to play.
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
        """Hear what was pressed since the last frame, and take at most one action; a tap counts as held for one."""
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
            self.held.clear()  # the next episode waits for a key, rather than go on with the one still held

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
        self.pygame.display.set_caption(f"{line}   {self.keys.legend}   r again  u undo  q save   {self.note}")
        self.pygame.display.flip()
