"""Videos in a report: an episode of each method, next to the expert's from the same initial state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym

from ganq_irl.errors import ConfigurationError, GanqIrlError
from ganq_irl.runs.directory import load_run
from ganq_irl.runs.video import Video, make_rendered_env, record_demonstration_video, record_policy_video
from ganq_irl.studies.grid import demonstrations_for
from ganq_irl.studies.pages.pictures import Picture, data_uri
from ganq_irl.studies.results import Result, first_finished_runs, grouped
from ganq_irl.studies.summary import GridSummary
from ganq_irl_demos import Trajectory, load_demonstrations

EXPERT = "the expert"


@dataclass(frozen=True)
class EnvVideos:
    """The videos of one environment.

    Attributes:
        env: Gymnasium id.
        videos: a video of each one who acts, the expert's first; empty if the environment cannot be rendered.
        reason: why it cannot, or "".
    """

    env: str
    videos: list[Picture]
    reason: str = ""


def videos_by_env(summary: GridSummary) -> Iterator[EnvVideos]:
    """Yield the videos of each environment that has a finished run."""
    for env_id, results in grouped(first_finished_runs(summary.results), lambda result: result.cell.env).items():
        try:
            env = make_rendered_env(env_id, results[0].cell.config.env_kwargs)
        except GanqIrlError as error:  # the page shows the message
            yield EnvVideos(env_id, [], str(error))
            continue
        with contextlib.closing(env):
            videos = list(_videos(summary.folder, results, env))
        yield EnvVideos(env_id, videos)


def _videos(folder: Path, results: Sequence[Result], env: gym.Env) -> Iterator[Picture]:
    config = results[0].cell.config
    seed = config.evaluation.seed
    try:
        expert = _demonstration(results)
        assert expert.seed is not None
        seed = expert.seed
        yield _figure(EXPERT, record_demonstration_video(expert, env))
    except GanqIrlError as error:
        yield Picture(EXPERT, str(error))
    for result in results:
        name = result.cell.label
        try:
            yield _figure(name, record_policy_video(load_run(folder / result.cell.path).policy("cpu"), env, seed))
        except GanqIrlError as error:
            yield Picture(name, str(error))


def _demonstration(results: Sequence[Result]) -> Trajectory:
    """Return the first demonstration that can be replayed, from those of the runs or else from the shipped ones."""
    env_id = results[0].cell.env
    learned = next((demos for result in results if (demos := result.cell.config.demos) is not None), None)
    demonstrations = load_demonstrations(demonstrations_for(env_id, learned), env_id=env_id, needs=())
    for trajectory in demonstrations:
        if trajectory.seed is not None and trajectory.actions.size:
            return trajectory
    raise ConfigurationError("the demonstrations hold no seeds or no actions, so that none can be drawn again")


def _figure(title: str, video: Video) -> Picture:
    return Picture(title, video.describe(), data_uri(video.to_gif(), "gif"))
