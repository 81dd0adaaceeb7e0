"""Draw the segments of a pair as clips: the environment in each recorded state or, where that is impossible, plots."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.preprocessing import is_image_space

from ganq_irl.environments.states import can_show
from ganq_irl.errors import GanqIrlError
from ganq_irl.feedback import Comparisons
from ganq_irl.runs.video import Video, make_rendered_env, record_states_video, video_of_images
from ganq_irl_demos import Demonstrations, Trajectory
from ganq_irl_demos.trajectories import named_arrays

MAX_LINES = 12
"""Maximum number of lines in a plot; more are hard to tell apart."""

PLOTTED = f"The clips are plots: each line is one of the first {MAX_LINES} numbers of the observation, over the steps."
_KEPT = 16  # pairs in memory


@dataclass(frozen=True)
class Clips:
    """The clips of a pair.

    Attributes:
        images: left and right.
        stills: the same without motion, as PNG.
        media_type: of the images.
        texts: a sentence about each.
        note: how they were drawn, or "" if they show the environment.
    """

    images: tuple[bytes, bytes]
    stills: tuple[bytes, bytes]
    media_type: str
    texts: tuple[str, str]
    note: str = ""


class PairClips:
    """Draws the clips of pairs in one thread of its own, since graphics libraries expect one.

    Args:
        comparisons: the folder with the pairs.
        env_kwargs: keywords of the environment that the pairs name.

    Example:
        >>> from ganq_irl.feedback import Comparisons, cut_segments
        >>> comparisons = Comparisons("feedback")
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> pair = comparisons.add(left, right, env.observation_space, env.action_space, "CartPole-v1")
        >>> PairClips(comparisons).of(pair).media_type
        'image/gif'
    """

    def __init__(self, comparisons: Comparisons, env_kwargs: Mapping[str, Any] | None = None) -> None:
        self.comparisons, self.env_kwargs = comparisons, dict(env_kwargs or {})
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._drawn: dict[str, Future[Clips]] = {}
        self._envs: dict[str | None, gym.Env | str] = {}

    def of(self, pair: str) -> Clips:
        """Return the clips of a pair.

        Raises:
            GanqIrlError: its file is damaged.
        """
        try:
            return self._begun(pair).result()
        except GanqIrlError:
            self._drawn.pop(pair, None)  # the file may be repaired
            raise

    def prepare(self, pair: str) -> None:
        """Begin to draw the clips of a pair that will be shown soon."""
        self._begun(pair)

    def _begun(self, pair: str) -> Future[Clips]:
        if pair not in self._drawn:
            while len(self._drawn) >= _KEPT:
                self._drawn.pop(next(iter(self._drawn)), None)
            self._drawn[pair] = self._worker.submit(self._draw, pair)
        return self._drawn[pair]

    def _draw(self, pair: str) -> Clips:
        loaded = self.comparisons.load(pair)
        where = loaded.env_id or "an environment without a name"
        named = zip(("Left", "Right"), loaded, strict=True)
        left, right = (f"{side} clip: {len(one)} steps of {where}" for side, one in named)
        videos = self._videos(loaded)
        if not isinstance(videos, str):
            one, two = videos
            return Clips((one.to_gif(), two.to_gif()), (one.to_png(), two.to_png()), "image/gif", (left, right))
        plots = (draw_lines(loaded, loaded[0]), draw_lines(loaded, loaded[1]))
        return Clips(plots, plots, "image/png", (left, right), f"{PLOTTED} {videos}")

    def _videos(self, pair: Demonstrations) -> list[Video] | str:
        """Return the videos of a pair, or a sentence that says why there are none."""
        if is_image_space(pair.observation_space):
            return [video_of_images(np.asarray(part.observations), pair.observation_space) for part in pair]
        env = self._env(pair)
        if isinstance(env, str):
            return env
        try:
            return [record_states_video(np.asarray(part.observations), env) for part in pair]
        except Exception as error:  # graphics libraries raise errors of many classes for impossible states
            return f"{pair.env_id} cannot be drawn in these states ({type(error).__name__}: {error})."

    def _env(self, pair: Demonstrations) -> gym.Env | str:
        """Return the environment of a pair, or a sentence that says why it cannot be drawn."""
        if pair.env_id not in self._envs:
            self._envs[pair.env_id] = self._made(pair)
        return self._envs[pair.env_id]

    def _made(self, pair: Demonstrations) -> gym.Env | str:
        if pair.env_id is None:
            return "The pairs do not name their environment."
        try:
            env = make_rendered_env(pair.env_id, self.env_kwargs)
        except GanqIrlError as error:
            return f"{error}."
        if env.observation_space == pair.observation_space and can_show(env):
            return env
        env.close()
        return f"{pair.env_id} cannot be put into the states of its observations."


def draw_lines(pair: Demonstrations, segment: Trajectory) -> bytes:
    """Draw the observations of a segment over its steps as PNG; both segments of a pair have the same axes."""
    from matplotlib.figure import Figure

    both = [_rows(one) for one in pair]
    everything = np.concatenate(both)
    finite = everything[np.isfinite(everything)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(_rows(segment))
    margin = max((high - low) / 20, 1e-6)
    axes.set(xlabel="step", xlim=(0, max(map(len, both)) - 1), ylim=(low - margin, high + margin))
    axes.spines[["top", "right"]].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()


def _rows(segment: Trajectory) -> np.ndarray:
    arrays = named_arrays(segment.observations).values()
    flat = np.concatenate([array.reshape(len(array), -1)[:, :MAX_LINES].astype(float) for array in arrays], axis=1)
    return flat[:, :MAX_LINES]
