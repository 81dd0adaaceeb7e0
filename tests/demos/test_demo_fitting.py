"""What a file may hold, memory may hold: numbers of every kind, flat or in columns, through the same code."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory, load_demonstrations, save_demonstrations
from ganq_irl_demos.fitting import fitted, plain_array

IMAGE = spaces.Box(0, 255, (4, 5, 3), np.uint8)
ROWS = {
    "obs": np.arange(12.0).reshape(6, 2),
    "acts": np.array([0, 1, 0, 1, 1, 0]),
    "next_obs": np.arange(2.0, 14.0).reshape(6, 2),
    "rews": np.ones(6),
    "terminated": np.array([False, False, True, False, False, False]),
    "truncated": np.array([False] * 5 + [True]),
    "episode": np.array(["ep-b"] * 3 + ["ep-a"] * 3),
}
SPACES = {"observation_space": spaces.Box(-99, 99, (2,)), "action_space": spaces.Discrete(2)}


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([1, 2], np.int64),
        ([1.5, 2], np.float64),
        (np.array([1, 2], np.longdouble), np.float64),
        (np.array([1, 2], ">f4"), np.float32),
        (np.array([1, 2], ">u2"), np.uint16),
        (np.array([1, 2], np.float16), np.float16),
        (np.array([1, 2], np.uint64), np.int64),
        (np.array([1, 2], object), np.int64),
        (np.array([True, False], object), np.bool_),
        (np.array([None, 2.0], object), np.float64),
        (torch.tensor([1.0, 2.0], requires_grad=True), np.float32),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16), np.float32),
        ([torch.tensor(1.0, requires_grad=True), torch.tensor(2.0)], np.float32),
        (np.array([np.array([1.0, 2.0]), np.array([3.0, 4.0]), None], object)[:2], np.float64),
    ],
)
def test_every_kind_of_number_becomes_an_ordinary_one(given, dtype):
    array = plain_array(given, "observations")
    assert array.dtype == dtype
    assert array.dtype.isnative


@pytest.mark.parametrize("given", [[[1], [1, 2]], np.array([[1], [1, 2]], object)])
def test_ragged_lists_are_named(given):
    with pytest.raises(InvalidDemonstrations, match=r"^acts: not an array of one shape .*; pad or split"):
        plain_array(given, "acts")


@pytest.mark.parametrize("given", [["a", "b"], np.array(["1", "2"], object), np.array([1j, 2])])
def test_what_holds_no_numbers_is_left_for_the_checks(given):
    assert plain_array(given, "acts").dtype.kind in "UOc"


@pytest.mark.parametrize(
    ("array", "space", "shape", "dtype"),
    [
        (np.zeros((3, 1)), spaces.Discrete(2), (3,), np.int64),
        (np.zeros((3, 1, 4)), spaces.MultiDiscrete([2] * 4), (3, 4), np.int64),
        (np.zeros((3, 60)), IMAGE, (3, 4, 5, 3), np.uint8),
        (np.zeros((3, 3, 4, 5)), IMAGE, (3, 3, 4, 5), np.uint8),  # channels first: never put in another order by force
        (np.full((3, 60), 300.0), IMAGE, (3, 4, 5, 3), np.int64),  # would wrap around in a byte; the check says so
        (np.full((3, 1), 0.5), spaces.Discrete(2), (3,), np.float64),
        (np.full((3, 1), 1e300), spaces.Discrete(2), (3,), np.float64),
        (np.full((3, 1), np.nan), spaces.Discrete(2), (3,), np.float64),
        (np.zeros((3, 2), bool), spaces.Box(0, 1, (2,)), (3, 2), np.float32),
        (np.zeros((0, 1)), spaces.Discrete(2), (0,), np.int64),
    ],
)
def test_arrays_take_the_shape_and_kind_of_their_space_where_nothing_is_lost(array, space, shape, dtype):
    found = fitted(array, space)
    assert (found.shape, found.dtype) == (shape, dtype)
    np.testing.assert_array_equal(found.ravel(), array.ravel())


def test_a_table_in_memory_is_read_as_a_file_of_it_is(tmp_path):
    from_memory = load_demonstrations(ROWS, **SPACES)
    np.savez(tmp_path / "rows.npz", **ROWS)
    from_file = load_demonstrations(tmp_path / "rows.npz", **SPACES)
    assert from_memory.checksum != ""
    assert [len(one) for one in from_memory] == [len(one) for one in from_file] == [3, 3]
    assert [(one.terminated, one.truncated) for one in from_memory] == [(True, False), (False, True)]
    np.testing.assert_array_equal(from_memory[1].observations, from_file[1].observations)
    tensors = {**ROWS, "obs": torch.tensor(ROWS["obs"], requires_grad=True), "acts": ROWS["acts"].tolist()}
    np.testing.assert_array_equal(load_demonstrations(tensors, **SPACES)[1].observations, from_file[1].observations)


def test_keys_of_dict_observations_in_memory():
    keyed = {"obs": {"a": np.zeros((4, 2)), "b": np.zeros(4)}, "acts": [0, 1, 0, 1], "dones": [0, 0, 0, 1]}
    loaded = load_demonstrations(keyed)
    assert set(loaded[0].observations) == {"a", "b"}
    steps = [{"a": np.zeros(2), "b": 0.0}] * 3
    assert Trajectory(steps, [0, 1]).observations["a"].shape == (3, 2)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "memory"])
def test_what_pandas_holds(suffix, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", exc_type=ImportError)
    flat = {f"obs_{i}": ROWS["obs"][:, i] for i in range(2)} | {f"next_obs_{i}": ROWS["next_obs"][:, i] for i in range(2)}
    rest = {key: value for key, value in ROWS.items() if "obs" not in key}
    frame = pandas.DataFrame({**flat, **rest})
    if suffix == "parquet":
        frame["episode"] = frame["episode"].astype("category")
        frame.to_parquet(tmp_path / "rows.parquet")
    elif suffix == "csv":
        frame.to_csv(tmp_path / "rows.csv", index=False)
    loaded = load_demonstrations(frame if suffix == "memory" else tmp_path / f"rows.{suffix}", **SPACES)
    assert [len(one) for one in loaded] == [3, 3]
    assert [(one.terminated, one.truncated) for one in loaded] == [(True, False), (False, True)]
    np.testing.assert_array_equal(loaded[1].observations[:-1], ROWS["obs"][3:])
    assert loaded[0].actions.dtype == np.int64


@pytest.mark.parametrize("suffix", ["csv", "parquet", "memory"])
@pytest.mark.parametrize("column", ["rank", "judged"])
def test_a_column_ranks_episodes(suffix, column, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", exc_type=ImportError)
    flat = {f"obs_{i}": ROWS["obs"][:, i] for i in range(2)} | {f"next_obs_{i}": ROWS["next_obs"][:, i] for i in range(2)}
    frame = pandas.DataFrame({**flat, "acts": ROWS["acts"], "episode": ROWS["episode"], column: [2, 2, 2, 0.5, 0.5, 0.5]})
    source = frame if suffix == "memory" else tmp_path / f"rows.{suffix}"
    if suffix != "memory":
        getattr(frame, f"to_{suffix}")(source, index=False)
    loaded = load_demonstrations(source, **SPACES, columns={"rank": column})
    assert loaded.ranks.tolist() == [2.0, 0.5]
    save_demonstrations(loaded, tmp_path / "kept.npz")
    assert load_demonstrations(tmp_path / "kept.npz").ranks.tolist() == [2.0, 0.5]


def test_ranks_are_for_whole_episodes_and_may_be_missing():
    rows = {**ROWS, "rank": [1.0, 1.0, 1.0, *3 * [np.nan]]}
    loaded = load_demonstrations(rows, **SPACES)
    assert [one.rank for one in loaded] == [1.0, None]
    assert loaded.ranks is None
    with pytest.raises(DemoFormatError, match="column rank goes from 1 to 3 within an episode"):
        load_demonstrations({**ROWS, "rank": [1, 2, 3, 1, 1, 1]}, **SPACES)
    with pytest.raises(InvalidDemonstrations, match="rank: given inf"):
        load_demonstrations({**ROWS, "rank": np.full(6, np.inf)}, **SPACES)


def test_truths_are_numbers_in_any_column(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    (tmp_path / "rows.csv").write_text("obs,acts,over\n0.5,True,False\n1.5,False,True\n0.5,True,False\n0.5,True,True\n")
    space = {"observation_space": spaces.Box(-9, 9, (1,)), "action_space": spaces.Discrete(2)}
    loaded = load_demonstrations(tmp_path / "rows.csv", **space, columns={"done": "over"})
    assert loaded[0].actions.tolist() == [1]


@pytest.mark.parametrize(
    ("cell", "column", "expected"),
    [("left", "acts", "a number"), ("[1 2]", "acts", "such as obs_0"), ("maybe", "dones", "0 or 1, true or false")],
)
def test_a_cell_that_is_no_number_is_named_by_column_and_row(cell, column, expected, tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    row = {"obs": "1", "acts": "0", "dones": "0"}
    lines = [",".join(row), *[",".join(row.values())] * 3, ",".join({**row, column: cell}.values())]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DemoFormatError, match=rf"rows.csv: column '{column}', row 3: given .*expected .*{expected}"):
        load_demonstrations(tmp_path / "rows.csv")


def test_a_column_twice_is_named(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    (tmp_path / "rows.csv").write_text("obs,obs,acts\n1,2,0\n")
    with pytest.raises(DemoFormatError, match="two columns are called 'obs'"):
        load_demonstrations(tmp_path / "rows.csv")


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_a_csv_of_whole_numbers_comes_back_in_their_kind(dtype, tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    space, actions = spaces.Box(0, 9, (3,), dtype), spaces.Discrete(2)
    trajectory = Trajectory(np.arange(9).reshape(3, 3).astype(dtype), [0, 1], [1.0, 2.0], truncated=True)
    save_demonstrations(Demonstrations([trajectory], space, actions), tmp_path / "a.csv")
    loaded = load_demonstrations(tmp_path / "a.csv", observation_space=space, action_space=actions)
    assert loaded[0].observations.dtype == dtype
    np.testing.assert_array_equal(loaded[0].observations, trajectory.observations)


def test_cloning_takes_from_memory_what_it_takes_from_a_file():
    from ganq_irl.algorithms import BC

    env = gym.make("CartPole-v1")
    source = load_demonstrations("cartpole")[0]
    observations, actions = np.asarray(source.observations), np.asarray(source.actions)
    for given in (
        Trajectory(observations, actions[:, None], truncated=True),
        Trajectory(observations.astype(np.longdouble), actions.astype(np.float32), truncated=True),
        {"obs": torch.tensor(observations[:-1], requires_grad=True), "acts": actions.tolist()},
    ):
        BC(env.observation_space, env.action_space, [given] if isinstance(given, Trajectory) else given).train(2)
