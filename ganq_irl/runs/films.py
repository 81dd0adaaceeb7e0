"""Short films of episodes, small enough to stand in a page: a policy's own, or one that was recorded, drawn again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from PIL import Image

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation.rollouts import Predictor
from ganq_irl.runs.envs import draw_off_screen, probe_env

if TYPE_CHECKING:
    from ganq_irl_demos import Trajectory

SIZE = (240, 180)
FRAMES_PER_SECOND, SECONDS = 10, 10
MAX_BYTES = 300_000
_COLORS = 64
_SMALLEST = 64  # pixels of width below which a film is not made smaller

Steps = Iterable[tuple[Any, float, bool]]
"""Observation, reward, and whether the episode is over; the first is of the reset."""


@dataclass(frozen=True)
class Film:
    """Frames of an episode.

    Attributes:
        frames: at most ``SIZE``, ``FRAMES_PER_SECOND`` of the environment's own time.
        steps: environment steps that were taken.
        episode_return: sum of their rewards.
        is_whole: whether that was the whole episode; else it is cut after ``SECONDS``.
    """

    frames: list[Image.Image]
    steps: int
    episode_return: float
    is_whole: bool

    def describe(self) -> str:
        """``return 23, 23 steps``."""
        if not self.is_whole:
            return f"the first {self.steps} steps"
        return f"return {self.episode_return:.4g}, {self.steps} steps"

    def to_gif(self) -> bytes:
        """An animated GIF that repeats, of at most ``MAX_BYTES``: what is larger is drawn smaller."""
        frames = self.frames
        while True:
            gif = _encoded(frames)
            width, height = frames[0].size
            if len(gif) <= MAX_BYTES or width <= _SMALLEST:
                return gif
            frames = [frame.resize((width * 2 // 3, max(1, height * 2 // 3))) for frame in frames]


def make_drawable(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> gym.Env:
    """Make an environment that draws images, and have it draw one.

    Raises:
        ConfigurationError: it cannot, here or anywhere; the message says why.
        MissingDependency: the simulator behind it is not installed.
    """
    keywords = {key: value for key, value in (env_kwargs or {}).items() if key != "render_mode"}
    probe = probe_env(env_id, keywords)
    modes = probe.metadata.get("render_modes") or ()
    probe.close()
    if "rgb_array" not in modes:
        raise ConfigurationError(f'{env_id} draws no images (it has no render mode "rgb_array"), so there is no video of it')
    draw_off_screen()
    env = gym.make(env_id, render_mode="rgb_array", **keywords)
    env.reset(seed=0)
    try:
        frame = env.render()
        if not isinstance(frame, np.ndarray):
            raise TypeError(f"it drew {type(frame).__name__}")
    except Exception as error:  # what a graphics library raises is of no common class
        env.close()
        raise ConfigurationError(f"{env_id} cannot be drawn here ({type(error).__name__}: {error}){_advice(env)}") from error
    return env


def _advice(env: gym.Env) -> str:
    if "mujoco" in type(env.unwrapped).__module__:
        return "; without a display MuJoCo draws with MUJOCO_GL=egl or MUJOCO_GL=osmesa in the environment"
    return "; install what its drawing needs"


def film_policy(policy: Predictor, env: gym.Env, seed: int) -> Film:
    """Film an episode of a policy's most likely actions.

    Args:
        policy: anything with SB3's ``predict``.
        env: of ``make_drawable``.
        seed: of the reset; the global random states are left as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _film(_played(policy, env, seed), env)


def film_recorded(trajectory: Trajectory, env: gym.Env) -> Film:
    """Film a recorded episode: the environment is reset to its seed and takes its actions.

    Raises:
        ConfigurationError: it has no seed, or no actions.
    """
    from ganq_irl_demos.recording.replay import replay

    if trajectory.seed is None or not trajectory.actions.size:
        raise ConfigurationError("the demonstrations hold no seeds or no actions, so that none can be drawn again")
    return _film(replay(trajectory, env), env)


def _played(policy: Predictor, env: gym.Env, seed: int) -> Iterator[tuple[Any, float, bool]]:
    observation, _ = env.reset(seed=seed)
    yield observation, 0.0, False
    is_over = False
    while not is_over:
        action, _ = policy.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(np.asarray(action)[()])  # a Discrete one as a scalar
        is_over = terminated or truncated
        yield observation, float(reward), is_over


def _film(steps: Steps, env: gym.Env) -> Film:
    stride = max(1, round((env.metadata.get("render_fps") or 30) / FRAMES_PER_SECOND))
    frames: list[Image.Image] = []
    total, taken = 0.0, 0
    for taken, (_, reward, _) in enumerate(steps):
        total += reward
        if taken % stride == 0:
            if len(frames) == FRAMES_PER_SECOND * SECONDS:
                return Film(frames, taken, total, is_whole=False)
            frames.append(_frame(env))
    return Film(frames, taken, total, is_whole=True)


def _frame(env: gym.Env) -> Image.Image:
    image = Image.fromarray(np.asarray(env.render()))
    image.thumbnail(SIZE)
    return image


def _encoded(frames: list[Image.Image]) -> bytes:
    palette = _palette(frames)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    content = io.BytesIO()
    duration = 1000 // FRAMES_PER_SECOND
    first.save(content, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)
    return content.getvalue()


def _palette(frames: list[Image.Image]) -> Image.Image:
    """The colours of frames from the whole film, since what moves may be out of sight in the first."""
    chosen = frames[:: max(1, len(frames) // 4)]
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(chosen)))
    for place, frame in enumerate(chosen):
        strip.paste(frame, (0, place * height))
    return strip.quantize(_COLORS)
