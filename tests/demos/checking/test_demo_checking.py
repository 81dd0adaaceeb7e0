from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory, check_demonstrations, require_valid
from ganq_irl_demos.checking.check import SHOWN
from ganq_irl_demos.checking.values import OUTLIER_RATIO
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, demonstrations, edited, make_demos, make_trajectory

SOUND = make_trajectory()


def changed(field, index, value):
    return make_trajectory(**{field: edited(getattr(SOUND, field), index, value)})


# the trajectory that breaks a rule, and the step, field and rule that must be named
PLANTED_ERRORS = {
    "NaN action": (changed("actions", 2, np.nan), 2, "actions", "non-finite"),
    "infinite action": (changed("actions", 4, -np.inf), 4, "actions", "non-finite"),
    "NaN observation": (changed("observations", (5, 1), np.nan), 5, "observations", "non-finite"),
    "infinite observation": (changed("observations", (0, 2), np.inf), 0, "observations", "non-finite"),
    "action above the space": (changed("actions", 1, 2.7), 1, "actions", "outside-space"),
    "action below the space": (changed("actions", 3, -2.001), 3, "actions", "outside-space"),
    "outlier 1e30": (changed("observations", (3, 0), 1e30), 3, "observations", "outlier"),
    "outlier relative to what is usual": (changed("observations", (2, 1), -5e6), 2, "observations", "outlier"),
    "no transitions": (make_trajectory(0), None, "actions", "zero-length"),
}


@pytest.mark.parametrize(("bad", "step", "field", "rule"), PLANTED_ERRORS.values(), ids=PLANTED_ERRORS)
def test_a_planted_mistake_is_named_with_trajectory_step_and_field(bad, step, field, rule):
    demos = make_demos(make_trajectory(40, 1), make_trajectory(30, 2), bad, make_trajectory(35, 3))
    errors = [finding for finding in check_demonstrations(demos) if finding.severity == "error"]
    assert [(error.trajectory, error.step, error.field, error.rule) for error in errors] == [(2, step, field, rule)]
    place = f"trajectory 2, {'' if step is None else f'step {step}, '}{field}: "
    with pytest.raises(InvalidDemonstrations) as raised:
        require_valid(demos)
    assert str(raised.value).startswith(f"test.npz: {place}")
    assert str(raised.value) == f"test.npz: {errors[0]}"


def in_space(space, values, **changes):
    """Demonstrations whose second trajectory has the given actions in the given space; the first has sound ones."""
    values = np.asarray(values)
    sound = np.stack([np.asarray(space.sample()) for _ in range(8)])
    first = make_trajectory(8, 1, actions=sound, rewards=None)
    return make_demos(first, make_trajectory(len(values), 2, actions=values, rewards=None), action_space=space, **changes)


@pytest.mark.parametrize(
    ("space", "values", "step", "rule"),
    [
        (spaces.Discrete(2), [0, 1, 7], 2, "outside-space"),
        (spaces.Discrete(2), [0, -1, 1], 1, "outside-space"),
        (spaces.Discrete(3, start=1), [1, 3, 0], 2, "outside-space"),
        (spaces.Discrete(3, start=1), [4, 1, 2], 0, "outside-space"),
        (spaces.Discrete(2), [1.0, 0.5], 1, "dtype"),
        (spaces.MultiDiscrete([2, 3]), [[1, 2], [1, 3]], 1, "outside-space"),
        (spaces.MultiDiscrete([2, 3]), [[1, 2], [2, 2]], 1, "outside-space"),
        (spaces.MultiBinary(2), [[0, 1], [1, 1], [0, 2]], 2, "outside-space"),
        (spaces.MultiBinary(2), [[0.0, 0.5]], 0, "dtype"),
        (spaces.Box(0, 255, (1,), np.uint8), [[0.5], [1.0]], 0, "dtype"),
        (spaces.Box(np.float32([0, -np.inf]), np.float32([np.inf, 1])), [[5.0, -7.0], [-0.1, 0.0]], 1, "outside-space"),
        (spaces.Box(np.float32([0, -np.inf]), np.float32([np.inf, 1])), [[5.0, -7.0], [0.1, 1.1]], 1, "outside-space"),
    ],
)
def test_actions_outside_every_kind_of_space_are_errors(space, values, step, rule):
    space.seed(0)
    errors = [finding for finding in check_demonstrations(in_space(space, values)) if finding.severity == "error"]
    assert [(error.trajectory, error.step, error.field, error.rule) for error in errors] == [(1, step, "actions", rule)]


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (spaces.Box(-2, 2, (1,)), [[2 * (1 + 1e-7)], [-2 - 3e-6]]),
        (spaces.Box(-2, 2, (1,)), [[2], [-1]]),
        (spaces.Discrete(3, start=1), np.array([1, 2, 3], np.int8)),
        (spaces.MultiBinary(2), [[True, False]]),
        (spaces.MultiBinary(2), [[0.0, 1.0]]),
        (spaces.Discrete(2), [0.0, 1.0]),
        (spaces.Discrete(2), [[0], [1]]),
        (spaces.Discrete(2), [True, False]),
        (spaces.Box(-2, 2, (1,)), [0.5, -1.0]),
        (spaces.Box(-5, 5, (1,), np.int32), [[2.0], [-1.0]]),
        (spaces.Box(0, 1, (4,)), [[True, False, True, True]]),
        (spaces.Box(-np.inf, np.inf, (1,)), [[1e3], [-1e3]]),
    ],
)
def test_rounding_and_harmless_dtypes_pass(space, values):
    space.seed(0)
    assert not [finding for finding in check_demonstrations(in_space(space, values)) if finding.severity == "error"]


def findings_of(demos, severity, **expected):
    return [
        (f.trajectory, f.step, f.field, f.rule) for f in check_demonstrations(demos, **expected) if f.severity == severity
    ]


def test_warnings_name_their_place_and_do_not_refuse():
    same_twice = make_demos(make_trajectory(5, 1), make_trajectory(6, 2), replace(make_trajectory(5, 1), seed=9))
    outside = make_demos(make_trajectory(5, 1), changed("observations", (2, 0), 11.0))
    constant = make_demos(
        *(make_trajectory(5, s, observations=edited(make_trajectory(5, s).observations, (..., 1), 3)) for s in (1, 2))
    )
    unfinished = make_demos(make_trajectory(5, 1), make_trajectory(5, 2, truncated=False))
    some_rewards = make_demos(make_trajectory(5, 1), make_trajectory(5, 2, rewards=None))
    cases = [
        (same_twice, (2, None, "trajectories", "duplicate")),
        (outside, (1, 2, "observations", "outside-space")),
        (constant, (None, None, "observations", "constant")),
        (unfinished, (1, None, "truncated", "unfinished")),
        (some_rewards, (1, None, "rewards", "some-rewards")),
    ]
    for demos, expected in cases:
        assert findings_of(demos, "warning") == [expected]
        require_valid(demos)


@pytest.mark.parametrize(
    ("changes", "field"), [({"observations": np.zeros((6, 4))}, "observations"), ({"actions": np.zeros((5, 2))}, "actions")]
)
def test_another_width_than_the_spaces_is_an_error_of_the_set(changes, field):
    demos = make_demos(make_trajectory(**changes))
    assert findings_of(demos, "error") == [(None, None, field, "shape")]
    with pytest.raises(InvalidDemonstrations, match=rf"test.npz: {field}: shape of one step is .*another environment"):
        require_valid(demos)


def test_discrete_observations_outside_the_space_are_errors():
    trajectory = Trajectory(np.array([0, 3, 4, 1]), SOUND.actions[:3], truncated=True)
    demos = make_demos(trajectory, observation_space=spaces.Discrete(4))
    assert findings_of(demos, "error") == [(0, 2, "observations", "outside-space")]


def test_parts_of_a_dict_observation_are_named():
    space = spaces.Dict({"arm": spaces.Box(-1, 1, (2,)), "image": spaces.Box(0, 255, (2, 2), np.uint8)})
    observations = {"arm": np.random.default_rng(0).uniform(-1, 1, (6, 2)), "image": np.zeros((6, 2, 2), np.uint8)}
    sound = make_demos(make_trajectory(observations=observations), observation_space=space)
    assert check_demonstrations(sound) == []
    bad_value = make_trajectory(observations={**observations, "arm": edited(observations["arm"], (4, 1), np.nan)})
    bad_type = make_trajectory(observations={**observations, "image": np.full((6, 2, 2), 0.5)})
    demos = make_demos(bad_value, bad_type, observation_space=space)
    assert findings_of(demos, "error") == [
        (0, 4, "observations.arm", "non-finite"),
        (1, 0, "observations.image", "dtype"),
    ]


def test_another_environment_or_space_is_an_error():
    demos = make_demos()
    assert findings_of(demos, "error", env_id="Other-v0") == [(None, None, "env_id", "env-id")]
    assert findings_of(demos, "error", env_id="some.module:Test-v0") == []
    assert findings_of(make_demos(env_id=None), "warning", env_id="Other-v0") == [(None, None, "env_id", "env-id")]
    other = spaces.Box(-1, 1, (4,))
    assert findings_of(demos, "error", observation_space=other) == [(None, None, "observations", "space")]
    assert findings_of(demos, "error", action_space=spaces.Discrete(2)) == [(None, None, "actions", "space")]
    with pytest.raises(InvalidDemonstrations, match=r"test.npz: actions: .*Discrete\(2\) by the environment"):
        require_valid(demos, action_space=spaces.Discrete(2))


def test_the_environments_bounds_count_when_they_are_given():
    narrow = spaces.Box(-0.5, 0.5, (1,))
    assert findings_of(make_demos(), "error") == []
    assert {finding[3] for finding in findings_of(make_demos(), "error", action_space=narrow)} == {"outside-space"}


@pytest.mark.parametrize(
    ("steps", "terminated", "truncated", "severity", "field"),
    [
        (6, False, True, "error", "lengths"),
        (4, False, True, "warning", "truncated"),
        (5, True, False, "warning", "terminated"),
        (5, False, True, None, None),
        (4, True, False, None, None),
        (5, True, True, None, None),
    ],
)
def test_ends_are_compared_with_the_time_limit(steps, terminated, truncated, severity, field):
    demos = make_demos(make_trajectory(steps, terminated=terminated, truncated=truncated))
    found = [(f.severity, f.field) for f in check_demonstrations(demos, max_episode_steps=5) if f.rule == "horizon"]
    assert found == ([] if severity is None else [(severity, field)])


def test_an_empty_set_is_an_error():
    demos = Demonstrations((), OBSERVATIONS, ACTIONS, source="nothing.npz")
    with pytest.raises(InvalidDemonstrations, match=r"nothing.npz: trajectories: there are no trajectories"):
        require_valid(demos)


def test_repeated_mistakes_give_one_finding_a_trajectory_and_are_counted():
    bad = make_trajectory(actions=np.full((5, 1), 3.0))
    demos = make_demos(*(replace(bad, observations=make_trajectory(seed=s).observations) for s in range(SHOWN + 3)))
    errors = [finding for finding in check_demonstrations(demos) if finding.severity == "error"]
    assert [error.trajectory for error in errors] == list(range(SHOWN + 3))
    assert "and 4 more in this trajectory" in errors[0].message
    with pytest.raises(InvalidDemonstrations) as raised:
        require_valid(demos)
    lines = str(raised.value).splitlines()
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "... and 3 more errors"


@pytest.mark.parametrize(("rewards", "rule"), [([np.nan, 1, 1, 1, 1], "non-finite"), ([1, 1, 1, 1, 1e16], "outlier")])
def test_rewards_that_nobody_learns_from_are_a_warning(rewards, rule):
    demos = make_demos(make_trajectory(), make_trajectory(seed=1, rewards=np.array(rewards)))
    findings = check_demonstrations(demos)
    assert [(f.severity, f.trajectory, f.field, f.rule) for f in findings] == [("warning", 1, "rewards", rule)]
    require_valid(demos)


def test_errors_come_first():
    severities = [
        f.severity for f in check_demonstrations(make_demos(make_trajectory(truncated=False), changed("actions", 0, 9)))
    ]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


def test_what_is_large_throughout_is_no_outlier():
    generator = np.random.default_rng(0)
    clock = np.stack([generator.normal(size=51), 1.7e9 + np.arange(51), np.where(np.arange(51) % 9, 0, 1)], axis=1)
    demos = make_demos(make_trajectory(50, observations=clock), observation_space=spaces.Box(-np.inf, np.inf, (3,)))
    assert check_demonstrations(demos) == []


def test_limits_of_an_outlier_at_both_ends_of_the_scale():
    """Next to noise of 1e-9, 100 is no outlier but 5000 is one; next to 1e10, 2e15 is one by its size alone."""
    generator, space = np.random.default_rng(0), spaces.Box(-np.inf, np.inf, (3,))
    noise = edited(generator.normal(size=(51, 3)) * 1e-9, (7, 0), 100.0)
    assert findings_of(make_demos(make_trajectory(50, observations=noise), observation_space=space), "error") == []
    for observations in (edited(noise, (9, 0), 5e3), edited(generator.normal(1e10, 1, size=(51, 3)), (9, 0), 2e15)):
        demos = make_demos(make_trajectory(50, observations=observations), observation_space=space)
        assert findings_of(demos, "error") == [(0, 9, "observations", "outlier")]


def test_the_threshold_of_an_outlier_follows_its_dimension():
    observations = np.ones((51, 3)) + np.arange(51)[:, None] / 1e3
    space = spaces.Box(-np.inf, np.inf, (3,))
    for factor, expected in ((0.9, []), (1.2, [(0, 7, "observations", "outlier")])):
        demos = make_demos(
            make_trajectory(50, observations=edited(observations, (7, 2), factor * OUTLIER_RATIO)), observation_space=space
        )
        assert findings_of(demos, "error") == expected


@settings(max_examples=30, deadline=None)
@given(demos=demonstrations())
def test_values_drawn_from_the_spaces_are_never_errors(demos):
    assert [finding for finding in check_demonstrations(demos) if finding.severity == "error"] == []
    require_valid(demos, observation_space=demos.observation_space, action_space=demos.action_space, env_id=demos.env_id)


def test_a_hundred_thousand_transitions_take_well_under_a_second():
    generator = np.random.default_rng(0)
    observations, actions = generator.normal(size=(100, 1001, 17)), generator.uniform(-1, 1, (100, 1000, 6))
    trajectories = [Trajectory(o, a, a.sum(axis=1), truncated=True) for o, a in zip(observations, actions, strict=True)]
    demos = Demonstrations(trajectories, spaces.Box(-np.inf, np.inf, (17,)), spaces.Box(-1, 1, (6,)))
    start = time.process_time()
    assert check_demonstrations(demos, max_episode_steps=1000) == []
    assert time.process_time() - start < 0.8


def test_pairs_in_no_order_are_no_episode_that_is_too_long():
    pairs = make_demos(make_trajectory(40, 1, truncated=False), missing=("next_observations",))
    assert findings_of(pairs, "error", max_episode_steps=20) == []
    assert findings_of(pairs, "warning", max_episode_steps=20) == []
    assert findings_of(make_demos(make_trajectory(40, 1)), "error", max_episode_steps=20)
