"""Videos in a report: an episode of each method's first finished run, beside the expert's from the same start."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym

from ganq_irl.errors import ConfigurationError, GanqIrlError
from ganq_irl.runs.directory import load_run
from ganq_irl.runs.films import Film, film_policy, film_recorded, make_drawable
from ganq_irl.studies.conclusion import Conclusion
from ganq_irl.studies.grid import demonstrations_for
from ganq_irl.studies.page_pictures import first_runs
from ganq_irl.studies.results import Result
from ganq_irl_demos import Trajectory, load_demonstrations

EXPERT = "the expert"


@dataclass(frozen=True)
class Video:
    """One episode.

    Attributes:
        title: whose it is.
        caption: what is seen, or why nothing is.
        gif: the video as a data URI, or "".
    """

    title: str
    caption: str
    gif: str


@dataclass(frozen=True)
class Screening:
    """The videos of one environment.

    Attributes:
        env: Gymnasium id.
        videos: the expert's first; empty where the environment cannot be drawn.
        reason: why it cannot, or "".
    """

    env: str
    videos: list[Video]
    reason: str = ""


def screenings(conclusion: Conclusion) -> Iterator[Screening]:
    """Videos of all environments that have a finished run."""
    by_env: dict[str, list[Result]] = {}
    for result in first_runs(conclusion.results):
        by_env.setdefault(result.cell.env, []).append(result)
    for env_id, results in by_env.items():
        try:
            env = make_drawable(env_id, results[0].cell.config.env_kwargs)
        except GanqIrlError as error:  # says itself what is missing; the page passes it on
            yield Screening(env_id, [], str(error))
            continue
        with contextlib.closing(env):
            videos = list(_videos(conclusion.folder, results, env))
        yield Screening(env_id, videos)


def _videos(folder: Path, results: Sequence[Result], env: gym.Env) -> Iterator[Video]:
    config = results[0].cell.config
    seed = config.evaluation.seed
    try:
        expert = _demonstration(results)
        assert expert.seed is not None
        seed = expert.seed
        yield _shown(EXPERT, film_recorded(expert, env))
    except GanqIrlError as error:
        yield Video(EXPERT, str(error), "")
    for result in results:
        name = result.cell.label
        try:
            yield _shown(name, film_policy(load_run(folder / result.cell.path).policy("cpu"), env, seed))
        except GanqIrlError as error:
            yield Video(name, str(error), "")


def _demonstration(results: Sequence[Result]) -> Trajectory:
    """The first demonstration that can be drawn again, of those that were learned from, else of the shipped ones."""
    env_id = results[0].cell.env
    learned = next((demos for result in results if (demos := result.cell.config.demos) is not None), None)
    demonstrations = load_demonstrations(demonstrations_for(env_id, learned), env_id=env_id, needs=())
    for trajectory in demonstrations:
        if trajectory.seed is not None and trajectory.actions.size:
            return trajectory
    raise ConfigurationError("the demonstrations hold no seeds or no actions, so that none can be drawn again")


def _shown(title: str, film: Film) -> Video:
    return Video(title, film.describe(), f"data:image/gif;base64,{base64.b64encode(film.to_gif()).decode()}")
