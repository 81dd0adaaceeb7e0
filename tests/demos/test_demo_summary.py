from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from matplotlib.image import imread

from ganq_irl.errors import ConfigurationError, InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory, plot_summary, summarize
from ganq_irl_demos.pictures.one_set import _project
from tests.demos.demo_examples import demonstrations, edited, make_demos, make_trajectory


def test_a_summary_counts_and_measures():
    discrete = {"actions": np.array([0, 1, 1, 3])}
    demos = make_demos(
        make_trajectory(4, 0, **discrete, rewards=np.array([1.0, 1, 1, 1]), terminated=True, truncated=False),
        make_trajectory(4, 1, **discrete, rewards=np.array([1.0, 2, 3, 4])),
        action_space=spaces.Discrete(4),
    )
    summary = summarize(demos)
    assert {key: summary[key] for key in ("episodes", "transitions", "terminated", "truncated", "horizon")} == {
        "episodes": 2,
        "transitions": 8,
        "terminated": 1,
        "truncated": 1,
        "horizon": 4,
    }
    assert summary["returns"] == {"mean": 7.0, "std": 3.0, "min": 4.0, "max": 10.0}
    assert summary["lengths"] == {"mean": 4.0, "std": 0.0, "min": 4.0, "max": 4.0}
    assert summary["fields"]["actions"]["counts"] == {"0": 2, "1": 4, "3": 2}
    joined = np.concatenate([trajectory.observations for trajectory in demos])
    assert summary["fields"]["observations"]["min"] == joined.min(axis=0).tolist()
    assert summary["fields"]["observations"]["max"] == joined.max(axis=0).tolist()
    assert (summary["checksum"], summary["source"], summary["env_id"]) == (demos.checksum, "test.npz", "Test-v0")
    assert summary["provenance"] == {"by": "a test"}


def test_ranges_leave_out_what_is_not_finite():
    observations = edited(edited(make_trajectory().observations, (0, 0), np.inf), (slice(None), 2), np.nan)
    field = summarize(make_demos(make_trajectory(observations=observations)))["fields"]["observations"]
    assert field["max"][0] == observations[1:, 0].max()
    assert (field["min"][2], field["max"][2]) == (None, None)


def test_images_get_one_range():
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    demos = Demonstrations([Trajectory(images, [0, 1])], spaces.Box(0, 255, (4, 4), np.uint8), spaces.Discrete(2))
    field = summarize(demos)["fields"]["observations"]
    assert (field["shape"], field["min"], field["max"]) == ([4, 4], [0.0], [47.0])


def test_without_rewards_or_trajectories_there_is_nothing_to_measure():
    assert summarize(make_demos(make_trajectory(rewards=None)))["returns"] is None
    empty = summarize(make_demos()[:0])
    assert (empty["episodes"], empty["lengths"], empty["returns"], empty["horizon"]) == (0, None, None, 0)


@settings(max_examples=40, deadline=None)
@given(demos=demonstrations())
def test_a_summary_is_strict_json(demos):
    summary = summarize(demos)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(demos=demonstrations())
def test_every_kind_of_space_can_be_drawn(demos, tmp_path):
    path = plot_summary(replace(demos, env_id="Test-v0", source="$^{.npz$"), tmp_path / "summary.png")
    assert imread(path).std() > 0


@pytest.mark.parametrize(
    "trajectory",
    [
        make_trajectory(observations=np.zeros((6, 3), np.float32)),
        make_trajectory(observations=np.full((6, 3), np.nan)),
        make_trajectory(actions=np.full((5, 1), np.inf)),
        make_trajectory(rewards=None),
        make_trajectory(1),
    ],
    ids=["constant", "NaN", "infinite actions", "no rewards", "one step"],
)
def test_odd_data_can_be_drawn(trajectory, tmp_path):
    assert plot_summary(make_demos(trajectory), tmp_path / "odd.svg").stat().st_size > 1000


def test_large_images_are_drawn_quickly(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (1001, 84, 84), dtype=np.uint8)
    space = spaces.Box(0, 255, (84, 84), np.uint8)
    demos = Demonstrations([Trajectory(images, np.arange(1000) % 2)], space, spaces.Discrete(2))
    start = time.process_time()
    plot_summary(demos, tmp_path / "images.png")
    assert time.process_time() - start < 5


def test_coverage_is_the_plane_that_explains_most():
    generator = np.random.default_rng(0)
    plane = generator.normal(size=(200, 2)) @ generator.normal(size=(2, 6))
    arrays = {"observations": np.concatenate([plane, np.ones((200, 1))], axis=1), "lengths": np.array([99, 99])}
    points, progress, explained = _project(arrays, ["observations"])
    assert explained == " (100% of the variance)"
    assert progress[[0, 99, 100, 199]].tolist() == [0, 1, 0, 1]
    distances = [np.linalg.norm(rows[:, None] - rows[None], axis=-1) for rows in (points, plane / plane.std(axis=0))]
    np.testing.assert_allclose(*distances, atol=1e-9)


def test_drawing_refuses_unknown_endings_and_empty_sets_and_writes_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match=r"written as 'bmpx'; known: .*png"):
        plot_summary(make_demos(), tmp_path / "summary.bmpx")
    with pytest.raises(InvalidDemonstrations, match="nothing to draw"):
        plot_summary(make_demos()[:0], tmp_path / "summary.png")
    assert not list(tmp_path.iterdir())
