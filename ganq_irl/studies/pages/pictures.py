"""Pictures of single runs in a report: predicted against true Q, and recovered rewards."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ganq_irl.errors import GanqIrlError
from ganq_irl.evaluation import Visits
from ganq_irl.evaluation.pictures import plot_return_histograms, plot_values
from ganq_irl.generators.policies.store import StoredPolicy
from ganq_irl.runs.directory import REWARD, load_run
from ganq_irl.runs.plots import check_run_values
from ganq_irl.runs.rewards import read_reward
from ganq_irl.studies.results import Result, first_finished_runs
from ganq_irl.studies.reward_comparison import gather_transitions
from ganq_irl.studies.reward_pictures import draw_reward
from ganq_irl.studies.summary import GridSummary

EPISODES = 5
MAX_ACTIONS = 4
_REWARD_TITLES = {"map": "Recovered reward", "episode": "Reward along an episode", "calibration": "Calibration"}


@dataclass(frozen=True)
class Picture:
    """A picture or a video in a report.

    Attributes:
        title: what it shows.
        caption: what is to be said about it, or why there is none.
        uri: the image as a data URI, or "".
    """

    title: str
    caption: str
    uri: str = ""


def run_pictures(summary: GridSummary) -> Iterator[Picture]:
    """Yield the pictures of the first finished run of each method in each environment."""
    for result in first_finished_runs(summary.results):
        try:
            yield from _of_values(summary.folder, result)
            yield from _of_reward(summary.folder, result)
        except GanqIrlError as error:  # the page shows the message
            yield Picture("Not drawn", f"{result.cell.label}: {error}")


def _of_values(folder: Path, result: Result) -> Iterator[Picture]:
    """Yield pictures of Q-values, which can be compared with true returns only if the run learned from the true reward."""
    cell = result.cell
    policy = load_run(folder / cell.path).policy("cpu")
    check = check_run_values(cell.config, policy, episodes=EPISODES)
    if check is None or check.visits is None:
        return
    yield Picture("Predicted against true Q", cell.label, _drawn(plot_values(check)))
    if hasattr(policy.policy, "return_distribution"):
        yield Picture(
            "Return distributions against Monte Carlo returns", cell.label, _drawn(_histograms(policy, check.visits))
        )


def _histograms(policy: StoredPolicy, visits: Visits) -> Figure:
    """Plot samples of the predicted return and the observed returns of visited state-action pairs, one panel per action."""
    samples = np.asarray(policy.return_distribution(visits.observations))
    if samples.ndim == 2:  # samples for the visited pairs only
        return plot_return_histograms({"visited pairs": samples.ravel()}, {"visited pairs": visits.returns})
    taken = visits.actions.reshape(-1).astype(int)
    samples = samples[np.arange(len(samples)), taken]  # (pairs, actions, samples) -> (pairs, samples)
    often = [int(action) for action in np.argsort(-np.bincount(taken))[:MAX_ACTIONS] if np.any(taken == action)]
    names = {f"action {action}": taken == action for action in sorted(often)}
    return plot_return_histograms(
        {name: samples[chosen].ravel() for name, chosen in names.items()},
        {name: visits.returns[chosen] for name, chosen in names.items()},
    )


def _of_reward(folder: Path, result: Result) -> Iterator[Picture]:
    run = folder / result.cell.path
    if not (run / REWARD).is_dir():
        return
    stored = read_reward(run)
    seed = result.cell.config.evaluation.seed
    transitions = gather_transitions(stored, None, episodes=EPISODES, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        for path in draw_reward(stored, None, transitions, Path(scratch)):
            yield Picture(_REWARD_TITLES[path.stem], result.cell.label, data_uri(path.read_bytes()))


def _drawn(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return data_uri(content.getvalue())


def data_uri(image: bytes, kind: str = "png") -> str:
    """Return an image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
