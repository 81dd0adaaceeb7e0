from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces

import ganq_irl_demos
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory
from tests.demos.demo_examples import edited, make_demos, make_trajectory


def test_importing_the_room_and_its_catalog_imports_nothing_heavy():
    code = (
        "import sys, ganq_irl_demos; ganq_irl_demos.catalog();"
        "print([name for name in ('torch', 'gymnasium', 'imitation', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    path = [entry for entry in sys.path if entry]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_public_name_exists_and_catalog_stays_a_function():
    assert all(getattr(ganq_irl_demos, name) for name in ganq_irl_demos.__all__)
    assert callable(ganq_irl_demos.catalog)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = ganq_irl_demos.nothing_like_this


def test_length_return_and_number_of_transitions():
    demos = make_demos(make_trajectory(4, rewards=[1, 2, 3, 4]), make_trajectory(2, rewards=[-1.0, 0.5]))
    assert [len(trajectory) for trajectory in demos] == [4, 2]
    assert demos.n_transitions == 6
    np.testing.assert_array_equal(demos.returns, [10.0, -0.5])


def test_returns_need_rewards_everywhere():
    assert make_trajectory(rewards=None).episode_return is None
    assert make_demos(make_trajectory(), make_trajectory(rewards=None)).returns is None


def test_arrays_are_read_only_without_locking_the_callers():
    observations = np.zeros((3, 2))
    trajectory = Trajectory(observations, np.zeros(2))
    with pytest.raises(ValueError, match="read-only"):
        trajectory.observations[0] = 1
    observations[0] = 1


def test_ragged_lists_are_refused_by_name():
    with pytest.raises(InvalidDemonstrations, match=r"actions: not an array of one shape"):
        Trajectory(np.zeros((3, 2)), [[1.0], [1.0, 2.0]])


def test_a_slice_is_demonstrations_and_an_index_a_trajectory():
    demos = make_demos()
    assert isinstance(demos[1:], Demonstrations)
    assert [one.seed for one in demos[1:]] == [1, 2]
    assert [one.seed for one in demos[::-2]] == [2, 0]
    assert np.shares_memory(demos[1:].arrays["actions"], demos[-1].actions)
    np.testing.assert_array_equal(demos[-1].observations, make_trajectory(7, 2).observations)
    with pytest.raises(IndexError):
        demos[3]


def test_select_takes_the_first_or_draws_without_replacement():
    demos = make_demos(*(make_trajectory(seed=index) for index in range(10)))
    assert [trajectory.seed for trajectory in demos.select(3)] == [0, 1, 2]
    drawn = demos.select(10, np.random.default_rng(1))
    assert sorted(trajectory.seed for trajectory in drawn) == list(range(10))
    assert [trajectory.seed for trajectory in drawn] != list(range(10))
    again = demos.select(4, np.random.default_rng(1))
    assert again.provenance == {"by": "a test", "selected": [trajectory.seed for trajectory in again]}
    assert again.checksum == demos.select(4, np.random.default_rng(1)).checksum


@pytest.mark.parametrize("n", [0, -1, 4])
def test_selecting_too_many_says_how_many_there_are(n):
    with pytest.raises(ConfigurationError, match=rf"test.npz: {n} trajectories .* it holds 3"):
        make_demos().select(n)


def test_batch_rows_are_the_transitions_in_order():
    demos = make_demos()
    batch = demos.to_batch()
    assert len(batch) == demos.n_transitions
    for field, rows in (("observations", slice(None, -1)), ("next_observations", slice(1, None))):
        expected = np.concatenate([trajectory.observations[rows] for trajectory in demos])
        np.testing.assert_array_equal(getattr(batch, field).numpy(), expected)
    np.testing.assert_array_equal(batch.actions.numpy(), np.concatenate([trajectory.actions for trajectory in demos]))
    assert batch.returns is None
    assert batch.log_probs is None


def test_truncation_is_not_termination_in_a_batch():
    ends = [(True, False), (False, True), (True, True), (False, False)]
    demos = make_demos(*(make_trajectory(2, i, terminated=te, truncated=tr) for i, (te, tr) in enumerate(ends)))
    assert demos.to_batch().dones.tolist() == [0, 1, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float64, torch.float32),
        (np.float16, torch.float32),
        (np.float32, torch.float32),
        (np.uint8, torch.uint8),
        (np.int32, torch.int64),
        (np.int8, torch.int64),
        (np.bool_, torch.float32),
        (np.longdouble, torch.float32),
        (">f4", torch.float32),
        (">i4", torch.int64),
        (np.uint64, torch.int64),
        (object, torch.float32),
    ],
)
def test_dtypes_of_a_batch(given, expected):
    trajectory = Trajectory(np.ones((3, 2)).astype(given), np.array([1, 0], np.int32))
    batch = Demonstrations([trajectory], spaces.Box(0, 1, (2,), np.float32), spaces.Discrete(2)).to_batch()
    assert batch.observations.dtype == batch.next_observations.dtype == expected
    assert batch.actions.dtype == torch.int64
    assert batch.actions.tolist() == [1, 0]


def test_a_batch_of_dict_observations_has_the_keys_of_the_space():
    space = spaces.Dict({"image": spaces.Box(0, 255, (2, 2), np.uint8), "speed": spaces.Box(-1, 1, (1,))})
    observations = {"image": np.arange(12).reshape(3, 2, 2).astype(np.uint8), "speed": np.array([[0.0], [0.5], [1.0]])}
    batch = Demonstrations([Trajectory(observations, [0, 1])], space, spaces.Discrete(2)).to_batch()
    assert batch.next_observations["image"].tolist() == observations["image"][1:].tolist()
    assert batch.observations["speed"].tolist() == [[0.0], [0.5]]
    assert batch.observations["image"].dtype == torch.uint8


@pytest.mark.parametrize("trajectories", [(), (make_trajectory(0),)])
def test_no_transitions_make_no_batch(trajectories):
    with pytest.raises(InvalidDemonstrations, match="no transitions"):
        Demonstrations(trajectories, make_demos().observation_space, make_demos().action_space).to_batch()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": np.zeros((4, 1), np.float32)}, r"trajectory 1, observations: shape \(6, 3\) for 4 actions"),
        ({"rewards": np.zeros(4)}, r"trajectory 1, rewards: shape \(4,\), expected \(5,\)"),
        (
            {"observations": {"a": np.zeros((6, 3))}},
            r"trajectory 1: given \['observations.a'\], expected \['observations'\]",
        ),
        ({"actions": np.zeros((5, 2))}, r"test.npz: trajectory 1, actions: shapes"),
        ({"observations": np.full((6, 3), None)}, "trajectory 1, observations: dtype object"),
        ({"actions": np.zeros((5, 1), complex)}, "trajectory 1, actions: dtype complex128"),
        ({"rewards": np.full(5, "one")}, "trajectory 1, rewards: dtype <U3"),
        ({"rewards": np.zeros((5, 2))}, r"trajectory 1, rewards: shape \(5, 2\)"),
        ({"actions": np.array(["left"] * 5)}, "actions: dtype <U4"),
        ({"actions": np.float32(1)}, "actions: given a single value"),
    ],
)
def test_what_is_no_one_data_set_is_refused_with_its_place(changes, message):
    with pytest.raises(InvalidDemonstrations, match=message):
        make_demos(make_trajectory(), make_trajectory(**changes))


def test_the_checksum_is_of_the_content_and_not_of_the_source():
    demos = make_demos()
    assert demos.checksum == make_demos(source="elsewhere").checksum
    assert make_demos(provenance={"a": 1, "b": 2}).checksum == make_demos(provenance={"b": 2, "a": 1}).checksum
    first = make_trajectory()
    others = [
        make_demos(env_id="Other-v0"),
        make_demos(provenance={}),
        make_demos(action_space=spaces.Box(-3, 3, (1,))),
        demos[:2],
        *(
            make_demos(make_trajectory(**change))
            for change in (
                {},
                {"seed": 7},
                {"terminated": True},
                {"truncated": False},
                {"rewards": None},
                {"rewards": edited(first.rewards, 0, 9)},
                {"actions": edited(first.actions, 0, 1)},
                {"observations": edited(first.observations, 0, 1)},
                {"observations": first.observations.astype(np.float64)},
            )
        ),
    ]
    assert len({other.checksum for other in [demos, *others]}) == len(others) + 1


def test_provenance_must_be_json():
    with pytest.raises(ConfigurationError, match="only hold JSON values"):
        make_demos(provenance={"expert": object()})


@pytest.mark.parametrize(
    "changes",
    [
        {"observation_space": spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)})})},
        {"action_space": spaces.Dict({"a": spaces.Discrete(2)})},
        {"observation_space": spaces.Tuple([spaces.Discrete(2)])},
    ],
)
def test_spaces_that_nothing_here_can_learn_from_are_refused(changes):
    with pytest.raises(IncompatibleSpaces, match="not supported"):
        make_demos(**changes)
