"""Short videos of episodes, small enough to embed in a page: of a policy, or of a recorded episode that is replayed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from PIL import Image, ImageOps
from stable_baselines3.common.preprocessing import is_image_space_channels_first

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.envs import prepare_drawing, probe_env
from ganq_irl_demos.recording.policies import Policy

if TYPE_CHECKING:
    from ganq_irl_demos import Trajectory

SIZE = (240, 180)
FRAMES_PER_SECOND, SECONDS = 10, 10
MAX_BYTES = 300_000
_COLORS = 64
_FEWEST_FRAMES = 20  # of a clip of states: two seconds
_PAUSE = 5  # frames for which a clip of states stands still before it starts again
_SMALLEST = 64  # pixels of width; a video is not shrunk further

Steps = Iterable[tuple[Any, float, bool]]
"""Observation, reward, and whether the episode is over; the first entry is the reset."""


@dataclass(frozen=True)
class Video:
    """Frames of an episode.

    Attributes:
        frames: images of at most ``SIZE``, ``FRAMES_PER_SECOND`` per second of simulated time.
        steps: environment steps taken.
        episode_return: sum of their rewards.
        is_whole: whether the episode ended within ``SECONDS``; otherwise it was cut.
    """

    frames: list[Image.Image]
    steps: int
    episode_return: float
    is_whole: bool

    def describe(self) -> str:
        """Return a caption such as ``return 23, 23 steps``."""
        if not self.is_whole:
            return f"the first {self.steps} steps"
        return f"return {self.episode_return:.4g}, {self.steps} steps"

    def to_gif(self) -> bytes:
        """Return a looping animated GIF; frames are shrunk until it has at most ``MAX_BYTES``."""
        frames = self.frames
        while True:
            gif = _encoded(frames)
            width, height = frames[0].size
            if len(gif) <= MAX_BYTES or width <= _SMALLEST:
                return gif
            frames = [frame.resize((width * 2 // 3, max(1, height * 2 // 3))) for frame in frames]

    def to_png(self) -> bytes:
        """Return six moments of the video, in rows of three, for people who want no motion."""
        width, height = self.frames[0].size
        sheet = Image.new("RGB", (3 * width, 2 * height), "white")
        for place in range(6):
            moment = self.frames[place * (len(self.frames) - 1) // 5]
            sheet.paste(moment, (place % 3 * width, place // 3 * height))
        content = io.BytesIO()
        sheet.save(content, format="PNG")
        return content.getvalue()


def make_rendered_env(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> gym.Env:
    """Make an environment that renders images, and render one to be sure that it works here.

    Raises:
        ConfigurationError: it cannot render; the message says why.
        MissingDependency: its simulator is not installed.
    """
    keywords = {key: value for key, value in (env_kwargs or {}).items() if key != "render_mode"}
    probe = probe_env(env_id, keywords)
    modes = probe.metadata.get("render_modes") or ()
    probe.close()
    if "rgb_array" not in modes:
        raise ConfigurationError(
            f'{env_id} renders no images (it has no render mode "rgb_array"), so there is no video of it'
        )
    prepare_drawing()
    env = gym.make(env_id, render_mode="rgb_array", **keywords)
    env.reset(seed=0)
    try:
        frame = env.render()
        if not isinstance(frame, np.ndarray):
            raise TypeError(f"it drew {type(frame).__name__}")
    except Exception as error:  # graphics libraries raise errors of many classes
        env.close()
        raise ConfigurationError(f"{env_id} cannot be drawn here ({type(error).__name__}: {error}){_advice(env)}") from error
    return env


def _advice(env: gym.Env) -> str:
    if "mujoco" in type(env.unwrapped).__module__:
        return "; without a display MuJoCo draws with MUJOCO_GL=egl or MUJOCO_GL=osmesa in the environment"
    return "; install what its drawing needs"


def record_policy_video(policy: Policy, env: gym.Env, seed: int) -> Video:
    """Record an episode of a policy's deterministic actions.

    Args:
        policy: anything with SB3's ``predict``.
        env: an environment from ``make_rendered_env``.
        seed: seed of the reset; torch's global random state is restored afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _record(_play(policy, env, seed), env)


def record_demonstration_video(trajectory: Trajectory, env: gym.Env) -> Video:
    """Replay a recorded episode, by its seed and actions, and record it.

    Raises:
        ConfigurationError: the episode has no seed or no actions.
    """
    from ganq_irl_demos.recording.replay import replay

    if trajectory.seed is None or not trajectory.actions.size:
        raise ConfigurationError("the demonstrations hold no seeds or no actions, so that none can be drawn again")
    return _record(replay(trajectory, env), env)


def record_states_video(observations: np.ndarray, env: gym.Env) -> Video:
    """Record an environment in the states of observations, in slow motion where they would pass too quickly to be judged.

    Args:
        observations: ``(n_steps + 1, *shape)``.
        env: an environment from ``make_rendered_env`` that ``ganq_irl.environments.states.can_show`` knows.
    """
    from ganq_irl.environments.states import show_states

    stride = min(_stride(env), -(-len(observations) // _FEWEST_FRAMES))
    video = _record(((observation, 0.0, False) for observation in show_states(env, observations)), env, stride)
    return replace(video, frames=[*video.frames, *_PAUSE * video.frames[-1:]])


def video_of_images(observations: np.ndarray, space: spaces.Space) -> Video:
    """Return a video of observations that are images; of stacked grayscale images it shows the newest.

    Args:
        observations: ``(n_steps + 1, *shape)`` uint8.
        space: their space, an image space.
    """
    if is_image_space_channels_first(space):  # type: ignore[arg-type]
        observations = np.moveaxis(observations, 1, -1)
    images = observations if observations.shape[-1] == 3 else observations[..., -1]
    frames = [ImageOps.contain(Image.fromarray(image).convert("RGB"), SIZE, Image.Resampling.NEAREST) for image in images]
    return Video([*frames, *_PAUSE * frames[-1:]], len(frames) - 1, 0.0, is_whole=True)


def _play(policy: Policy, env: gym.Env, seed: int) -> Iterator[tuple[Any, float, bool]]:
    observation, _ = env.reset(seed=seed)
    yield observation, 0.0, False
    is_over = False
    while not is_over:
        action, _ = policy.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(np.asarray(action)[()])  # a Discrete action as a scalar
        is_over = terminated or truncated
        yield observation, float(reward), is_over


def _stride(env: gym.Env) -> int:
    return max(1, round((env.metadata.get("render_fps") or 30) / FRAMES_PER_SECOND))


def _record(steps: Steps, env: gym.Env, stride: int | None = None) -> Video:
    stride = _stride(env) if stride is None else stride
    frames: list[Image.Image] = []
    total, taken = 0.0, 0
    for taken, (_, reward, _) in enumerate(steps):
        total += reward
        if taken % stride == 0:
            if len(frames) == FRAMES_PER_SECOND * SECONDS:
                return Video(frames, taken, total, is_whole=False)
            frames.append(_frame(env))
    return Video(frames, taken, total, is_whole=True)


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
    """Return a palette over frames from the whole video, since the first may lack the colors of what moves later."""
    chosen = frames[:: max(1, len(frames) // 4)]
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(chosen)))
    for place, frame in enumerate(chosen):
        strip.paste(frame, (0, place * height))
    return strip.quantize(_COLORS)
