"""Draw the segments of a question as clips: the environment in each recorded state or, where that is impossible, plots."""

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
from ganq_irl.feedback import Questions
from ganq_irl.runs.video import Video, make_rendered_env, record_states_video, video_of_images
from ganq_irl_demos import Demonstrations, Trajectory
from ganq_irl_demos.trajectories import named_arrays

MAX_LINES = 12
"""Maximum number of lines in a plot; more are hard to tell apart."""

PLOTTED = f"The clips are plots: each line is one of the first {MAX_LINES} numbers of the observation, over the steps."
_KEPT = 16  # questions in memory


@dataclass(frozen=True)
class Clips:
    """The clips of a question.

    Attributes:
        images: left and right, or the one to rate.
        stills: the same without motion, as PNG.
        media_type: of the images.
        texts: a sentence about each.
        note: how they were drawn, or "" if they show the environment.
    """

    images: tuple[bytes, ...]
    stills: tuple[bytes, ...]
    media_type: str
    texts: tuple[str, ...]
    note: str = ""


class QuestionClips:
    """Draws the clips of questions in one thread of its own, since graphics libraries expect one.

    Args:
        questions: the folder with the questions.
        env_kwargs: keywords of the environment that the questions name.

    Example:
        >>> from ganq_irl.feedback import Questions, cut_segments
        >>> questions = Questions("feedback")
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> question = questions.add([left, right], env.observation_space, env.action_space, "CartPole-v1")
        >>> QuestionClips(questions).of(question).media_type
        'image/gif'
    """

    def __init__(self, questions: Questions, env_kwargs: Mapping[str, Any] | None = None) -> None:
        self.questions, self.env_kwargs = questions, dict(env_kwargs or {})
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._drawn: dict[str, Future[Clips]] = {}
        self._envs: dict[str | None, gym.Env | str] = {}

    def of(self, question: str) -> Clips:
        """Return the clips of a question.

        Raises:
            GanqIrlError: its file is damaged.
        """
        try:
            return self._begun(question).result()
        except GanqIrlError:
            self._drawn.pop(question, None)  # the file may be repaired
            raise

    def prepare(self, question: str) -> None:
        """Begin to draw the clips of a question that will be shown soon."""
        self._begun(question)

    def _begun(self, question: str) -> Future[Clips]:
        if question not in self._drawn:
            while len(self._drawn) >= _KEPT:
                self._drawn.pop(next(iter(self._drawn)), None)
            self._drawn[question] = self._worker.submit(self._draw, question)
        return self._drawn[question]

    def _draw(self, question: str) -> Clips:
        loaded = self.questions.load(question)
        where = loaded.env_id or "an environment without a name"
        names = ("Left clip", "Right clip") if len(loaded) == 2 else ("Clip",)
        texts = tuple(f"{name}: {len(one)} steps of {where}" for name, one in zip(names, loaded, strict=True))
        videos = self._videos(loaded)
        if not isinstance(videos, str):
            return Clips(tuple(one.to_gif() for one in videos), tuple(one.to_png() for one in videos), "image/gif", texts)
        plots = tuple(draw_lines(loaded, one) for one in loaded)
        return Clips(plots, plots, "image/png", texts, f"{PLOTTED} {videos}")

    def _videos(self, question: Demonstrations) -> list[Video] | str:
        """Return the videos of a question, or a sentence that says why there are none."""
        if is_image_space(question.observation_space):
            return [video_of_images(np.asarray(part.observations), question.observation_space) for part in question]
        env = self._env(question)
        if isinstance(env, str):
            return env
        try:
            return [record_states_video(np.asarray(part.observations), env) for part in question]
        except Exception as error:  # graphics libraries raise errors of many classes for impossible states
            return f"{question.env_id} cannot be drawn in these states ({type(error).__name__}: {error})."

    def _env(self, question: Demonstrations) -> gym.Env | str:
        """Return the environment of a question, or a sentence that says why it cannot be drawn."""
        if question.env_id not in self._envs:
            self._envs[question.env_id] = self._made(question)
        return self._envs[question.env_id]

    def _made(self, question: Demonstrations) -> gym.Env | str:
        if question.env_id is None:
            return "The questions do not name their environment."
        try:
            env = make_rendered_env(question.env_id, self.env_kwargs)
        except GanqIrlError as error:
            return f"{error}."
        if env.observation_space == question.observation_space and can_show(env):
            return env
        env.close()
        return f"{question.env_id} cannot be put into the states of its observations."


def draw_lines(question: Demonstrations, segment: Trajectory) -> bytes:
    """Draw the observations of a segment over its steps as PNG; all segments of a question have the same axes."""
    from matplotlib.figure import Figure

    shown = [_rows(one) for one in question]
    everything = np.concatenate(shown)
    finite = everything[np.isfinite(everything)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(_rows(segment))
    margin = max((high - low) / 20, 1e-6)
    axes.set(xlabel="step", xlim=(0, max(map(len, shown)) - 1), ylim=(low - margin, high + margin))
    axes.spines[["top", "right"]].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()


def _rows(segment: Trajectory) -> np.ndarray:
    arrays = named_arrays(segment.observations).values()
    flat = np.concatenate([array.reshape(len(array), -1)[:, :MAX_LINES].astype(float) for array in arrays], axis=1)
    return flat[:, :MAX_LINES]
