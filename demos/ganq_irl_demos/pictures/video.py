"""Render a recorded episode: reset the environment to its seed and repeat its actions."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import gymnasium as gym
import numpy as np

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations, needed
from ganq_irl.files import replacing_file
from ganq_irl_demos.recording.replay import replay
from ganq_irl_demos.trajectories import Trajectory

FPS = 30


def render_episode(trajectory: Trajectory, env: gym.Env, path: str | os.PathLike[str]) -> Path:
    """Write a video of an episode.

    Args:
        trajectory: the episode, with its seed.
        env: the environment, made with ``render_mode="rgb_array"``.
        path: ``.gif`` (written by Pillow) or ``.mp4`` (written by imageio with ffmpeg).

    Returns:
        The path.

    Raises:
        ConfigurationError: the environment renders no images, or another file extension.
        InvalidDemonstrations: there is no seed or there are no actions, so the episode cannot be replayed.
        MissingDependency: imageio is not installed.
    """
    path = Path(path)
    if path.suffix not in (".gif", ".mp4"):
        raise ConfigurationError(f"{path}: expected a video ending in .gif or .mp4")
    if env.render_mode != "rgb_array":
        raise ConfigurationError('the environment renders no images; make it with render_mode="rgb_array"')
    if trajectory.seed is None or not trajectory.actions.size:
        lacking = "seed" if trajectory.seed is None else "actions"
        raise InvalidDemonstrations(f"the episode has no {lacking}, so it cannot be rendered")
    fps = int(env.metadata.get("render_fps") or FPS)
    if path.suffix == ".mp4":
        needed("imageio_ffmpeg", "video", "writing .mp4 (.gif needs nothing)")
    frames = [np.asarray(env.render()) for _ in replay(trajectory, env)]
    with replacing_file(path) as scratch:
        (_write_gif if path.suffix == ".gif" else _write_mp4)(frames, scratch, fps)
    return path


def _write_gif(frames: list[np.ndarray], path: Path, fps: int) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=max(round(1000 / fps), 20), loop=0)


def _write_mp4(frames: list[np.ndarray], path: Path, fps: int) -> None:
    import imageio.v3

    imageio.v3.imwrite(path, np.stack(frames), fps=fps)
    try:
        imageio.v3.imread(path, index=0)
    except (OSError, RuntimeError, StopIteration, IndexError) as error:  # ffmpeg does not report a full disk
        raise OSError(errno.ENOSPC, "the video was cut short") from error
