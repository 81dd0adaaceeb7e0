from __future__ import annotations

import json

import numpy as np
from gymnasium import spaces
from hypothesis import given, settings

from ganq_irl_demos import Demonstrations, Trajectory, describe
from tests.demos.demo_examples import demonstrations, edited, make_demos, make_trajectory


def test_a_summary_counts_and_measures():
    discrete = {"actions": np.array([0, 1, 1, 3])}
    demos = make_demos(
        make_trajectory(4, 0, **discrete, rewards=np.array([1.0, 1, 1, 1]), terminated=True, truncated=False),
        make_trajectory(4, 1, **discrete, rewards=np.array([1.0, 2, 3, 4])),
        action_space=spaces.Discrete(4),
    )
    summary = describe(demos)
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
    field = describe(make_demos(make_trajectory(observations=observations)))["fields"]["observations"]
    assert field["max"][0] == observations[1:, 0].max()
    assert (field["min"][2], field["max"][2]) == (None, None)


def test_images_get_one_range():
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    demos = Demonstrations([Trajectory(images, [0, 1])], spaces.Box(0, 255, (4, 4), np.uint8), spaces.Discrete(2))
    field = describe(demos)["fields"]["observations"]
    assert (field["shape"], field["min"], field["max"]) == ([4, 4], [0.0], [47.0])


def test_without_rewards_or_trajectories_there_is_nothing_to_measure():
    assert describe(make_demos(make_trajectory(rewards=None)))["returns"] is None
    empty = describe(make_demos()[:0])
    assert (empty["episodes"], empty["lengths"], empty["returns"], empty["horizon"]) == (0, None, None, 0)


@settings(max_examples=40, deadline=None)
@given(demos=demonstrations())
def test_a_summary_is_strict_json(demos):
    summary = describe(demos)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
