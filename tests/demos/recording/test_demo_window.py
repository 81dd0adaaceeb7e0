"""A person at a window of SDL's dummy display: events are posted as a keyboard would."""

from __future__ import annotations

from typing import ClassVar

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError
from ganq_irl_demos import require_valid
from ganq_irl_demos.recording.play import PlaySession
from ganq_irl_demos.recording.window import WindowPlay
from ganq_irl_demos.recording.window_keys import keys_of

L, R = pygame.K_LEFT, pygame.K_RIGHT


class Track(gym.Env):
    """Ends at 3 or −3, or after six steps; draws where it is. Discrete or Box actions."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 500}
    observation_space = spaces.Box(-9, 9, (1,))

    def __init__(self, action_space=None, render_mode="rgb_array"):
        self.render_mode = render_mode
        self.action_space = action_space or spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = float(seed % 2), 0
        return np.array([self.place], np.float32), {}

    def step(self, action):
        moved = (2 * action - 1) if isinstance(self.action_space, spaces.Discrete) else float(action[0])
        self.place, self.steps = self.place + moved, self.steps + 1
        return np.array([self.place], np.float32), float(moved), abs(self.place) >= 3, self.steps >= 6, {}

    def render(self):
        picture = np.zeros((40, 60, 3), np.uint8)
        picture[:, int(30 + 5 * self.place) : int(33 + 5 * self.place)] = 255
        return picture


@pytest.fixture(autouse=True)
def display(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()
    yield
    pygame.quit()


def down(key):
    return pygame.event.Event(pygame.KEYDOWN, key=key)


def up(key):
    return pygame.event.Event(pygame.KEYUP, key=key)


def played(frames, env=None, episodes=None, **options):
    """Play, posting the events of each frame before it; the demonstrations, captions and lines shown."""
    env = env or Track()
    window = WindowPlay(PlaySession(env, 0), keys_of(env, **options))
    captions, lines, pending = [], [], list(frames)
    whole_frame = window.frame

    def frame(_):
        for event in pending.pop(0) if pending else [down(pygame.K_q)]:
            pygame.event.post(event)
        whole_frame(pygame.event.get())
        captions.append(pygame.display.get_caption()[0])

    window.frame = frame
    return window.run(lines.append, episodes), captions, lines


def test_a_held_key_goes_on_until_the_episode_ends_and_the_next_waits():
    demos, captions, lines = played([[], [down(R)], [], [], [], [], [down(L)], [up(L)], []])
    assert [(one.seed, one.actions.tolist(), one.terminated) for one in demos] == [(0, [1, 1, 1], True)]
    assert lines[0] == "episodes 0   step 0   return 0   seed 0"
    assert "episodes 0   step 2   return 2   seed 0" in lines
    assert "episodes 1   step 0   return 0   seed 1" in lines
    assert any("episodes 1" in caption and "kept" in caption for caption in captions)
    assert any("left 0  right 1" in caption and "u undo" in caption for caption in captions)
    require_valid(demos)


def test_a_tap_within_one_frame_is_one_action_and_the_last_key_wins():
    tap = [down(R), up(R)]
    demos, *_ = played([tap, [], tap, [], [down(R), down(L)], [], [up(L)], [], []], episodes=1)
    assert demos[0].actions.tolist() == [1, 1, 0, 0, 1, 1]
    assert demos[0].truncated


def test_reset_and_undo_in_a_window():
    r, u = down(pygame.K_r), down(pygame.K_u)
    again = [[down(R)], [r], [up(R)], [down(R)], [], [], [u], [down(L)], [], [], [], []]
    demos, captions, _ = played([[u], *again])
    assert [(one.seed, one.actions.tolist()) for one in demos] == [(0, [0, 0, 0])]
    for note in ("there is no episode to undo", "restarted the episode", "discarded the last episode"):
        assert any(note in caption for caption in captions)


@pytest.mark.parametrize("ending", [pygame.event.Event(pygame.QUIT), down(pygame.K_ESCAPE), down(pygame.K_q)])
def test_closing_the_window_keeps_what_was_played(ending):
    demos, captions, _ = played([[down(R)], [], [], [ending], [down(R)]])
    assert len(demos) == 1
    assert len(captions) == 4


def test_without_a_key_the_environment_waits_or_takes_the_no_op():
    tap = [down(R), up(R)]
    assert len(played([tap, *[[]] * 9])[0]) == 0
    demos, *_ = played([[], [], tap, *[[]] * 9], noop=0)
    assert demos[0].actions.tolist() == [1, 0, 0, 0, 0]


def test_a_box_rests_in_the_middle_and_keys_move_its_dimensions():
    box = spaces.Box(np.float32([-2, 0]), np.float32([2, 4]))
    keys = keys_of(Track(box), strength=0.5)
    for held, expected in [
        ([L], [-1, 0]),
        ([R, pygame.K_UP], [1, 2]),
        ([L, R], [0, 0]),
        ([pygame.K_DOWN], [0, 0]),
    ]:
        assert keys.action(held).tolist() == expected
        assert keys.action(held) in box
    demos, *_ = played([[down(R)], [up(R)], [], [down(L)], [], []], Track(spaces.Box(-1, 1, (1,))), strength=0.5)
    assert demos[0].actions.reshape(-1).tolist() == [0.5, 0, 0, -0.5, -0.5, -0.5]
    assert demos[0].actions.dtype == np.float32
    require_valid(demos)


def test_an_environments_own_keys_and_combinations():
    env = Track(spaces.Discrete(4))
    env.get_keys_to_action = lambda: {(): 0, (ord("a"),): 1, (ord("d"),): 2, (ord(" "), ord("a")): 3}
    keys = keys_of(env)
    assert keys.rest == 0
    assert keys.action([ord("a")]) == 1
    assert keys.action([ord("a"), ord(" ")]) == 3
    assert keys.action([ord("a"), ord("d")]) == 2
    assert keys.action([ord("x")]) is None
    assert "space+a 3" in keys.legend
    env.get_keys_to_action = lambda: {"w": 1}
    assert keys_of(env).action([ord("w")]) == 1


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (spaces.Box(-1, 1, (7,)), {}, "up to 6 bounded dimensions"),
        (spaces.Box(-np.inf, np.inf, (1,)), {}, "bounded"),
        (spaces.Box(-1, 1, (2, 2)), {}, "bounded dimensions"),
        (spaces.Box(-1, 1, (1,)), {"noop": 0}, "applies to Discrete"),
        (spaces.Box(-1, 1, (1,)), {"strength": 0.0}, "strength"),
        (spaces.Discrete(2), {"noop": 2}, "is not an action of"),
        (spaces.Discrete(11), {}, "11 actions"),
    ],
)
def test_what_no_key_can_stand_for_is_a_sentence(space, options, message):
    with pytest.raises(ConfigurationError, match=message):
        keys_of(Track(space), **options)


def test_no_pictures_and_no_display_are_sentences(monkeypatch):
    blind = Track(render_mode=None)
    with pytest.raises(ConfigurationError, match="renders no images"):
        WindowPlay(PlaySession(blind, 0), keys_of(blind))
    monkeypatch.setenv("SDL_VIDEODRIVER", "nowhere")
    with pytest.raises(ConfigurationError, match="no window can be opened here"):
        WindowPlay(PlaySession(Track(), 0), keys_of(Track()))
