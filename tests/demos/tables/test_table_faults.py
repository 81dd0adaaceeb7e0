"""The contract on faults: what is planted in a file is refused, or told as a warning, whatever the format."""

from __future__ import annotations

import json
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory, examine_demonstrations, load_demonstrations
from ganq_irl_demos.streams import remarks_in

OBSERVATIONS, ACTIONS = spaces.Box(-np.inf, np.inf, (2,), np.float32), spaces.Box(-1, 1, (1,), np.float32)
TOLD = {"observation_space": OBSERVATIONS, "action_space": ACTIONS}
STEPS, EPISODES = 12, 3


def sound_table():
    """Rows of three episodes; no observation comes twice."""
    states = np.arange(EPISODES * (STEPS + 1) * 2, dtype=np.float32).reshape(EPISODES, STEPS + 1, 2)
    last = np.tile(np.arange(STEPS) == STEPS - 1, EPISODES)
    return {
        "observations": states[:, :-1].reshape(-1, 2),
        "next_observations": states[:, 1:].reshape(-1, 2),
        "actions": np.linspace(-1, 1, STEPS * EPISODES, dtype=np.float32)[:, None],
        "terminated": np.zeros(STEPS * EPISODES, bool),
        "truncated": last,
        "episode": np.repeat(np.arange(EPISODES), STEPS),
        "step": np.tile(np.arange(STEPS), EPISODES),
    }


def as_arrays(table, folder):
    np.savez(folder / "rows.npz", **table)
    return folder / "rows.npz"


def frame(table):
    pandas = pytest.importorskip("pandas")
    wide = {f"{name}_{i}": column for name in ("observations", "next_observations", "actions")
            for i, column in enumerate(table.get(name, np.zeros((0, 0))).T)}  # fmt: skip
    return pandas.DataFrame({**wide, **{name: column for name, column in table.items() if column.ndim == 1}})


def as_parquet(table, folder):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    frame(table).to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def as_csv(table, folder):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    frame({name: column.astype(int) if column.dtype == bool else column for name, column in table.items()}).to_csv(
        folder / "rows.csv", index=False
    )
    return folder / "rows.csv"


def as_d4rl(table, folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "rows.hdf5", "w") as file:
        for name, column in table.items():
            if name not in ("episode", "step"):
                file[{"terminated": "terminals", "truncated": "timeouts"}.get(name, name)] = column
    return folder / "rows.hdf5"


def as_robomimic(table, folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "low_dim.hdf5", "w") as file:
        for index in np.unique(table["episode"]):
            rows = table["episode"] == index
            demo = file.create_group(f"data/demo_{index}")
            demo["obs/flat"], demo["next_obs/flat"] = table["observations"][rows], table["next_observations"][rows]
            demo["actions"], demo["dones"] = table["actions"][rows], (table["terminated"] | table["truncated"])[rows] * 1
    return folder / "low_dim.hdf5"


def as_lerobot(table, folder):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    import pyarrow.parquet as pq

    root = folder / "lerobot"
    (root / "data" / "chunk-000").mkdir(parents=True)
    (root / "meta").mkdir()
    numbers = {"episode_index": "int64", "frame_index": "int64", "timestamp": "float32", "next.done": "bool"}
    features = {name: {"dtype": dtype, "shape": [1]} for name, dtype in numbers.items()}
    features |= {"observation.state": {"dtype": "float32", "shape": [2]}, "action": {"dtype": "float32", "shape": [1]}}
    (root / "meta" / "info.json").write_text(json.dumps({"codebase_version": "v3.0", "features": features}))
    columns = {
        "observation.state": list(table["observations"]),
        "action": list(table["actions"]),
        "episode_index": table["episode"],
        "frame_index": table["step"],
        "timestamp": (table["step"] / 20).astype(np.float32),
        "next.done": table["terminated"] | table["truncated"],
    }
    pq.write_table(pa.table(columns), root / "data" / "chunk-000" / "file-000.parquet")
    return root


def as_replay_buffer(table, folder):
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.save_util import save_to_pkl

    rows = len(table["actions"])
    buffer = ReplayBuffer(rows, OBSERVATIONS, ACTIONS, device="cpu")
    for name in ("observations", "next_observations", "actions"):
        getattr(buffer, name)[:rows, 0] = table[name]
    buffer.dones[:rows, 0], buffer.timeouts[:rows, 0] = table["terminated"] | table["truncated"], table["truncated"]
    buffer.pos, buffer.full = 0, True
    save_to_pkl(folder / "buffer.pkl", buffer)
    return folder / "buffer.pkl"


def as_minari(table, folder):
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for index in np.unique(table["episode"]):
        rows = np.flatnonzero(table["episode"] == index)
        observations = np.concatenate([table["observations"][rows], table["next_observations"][rows[-1:]]])
        columns = SimpleNamespace(**{name: table[name][rows] for name in ("actions", "terminated", "truncated")})
        buffers.append(
            EpisodeBuffer(
                id=int(index),
                observations=observations,
                actions=columns.actions,
                rewards=np.zeros(len(rows)),
                terminations=columns.terminated,
                truncations=columns.truncated,
            )
        )
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        minari.create_dataset_from_buffers("rows-v0", buffers, **TOLD)
    return folder / "rows-v0"


FORMATS = {
    "arrays": as_arrays,
    "parquet": as_parquet,
    "csv": as_csv,
    "d4rl": as_d4rl,
    "robomimic": as_robomimic,
    "lerobot": as_lerobot,
    "replay-buffer": as_replay_buffer,
    "minari": as_minari,
}
WITH_NEXT = {"arrays", "parquet", "csv", "d4rl", "robomimic", "replay-buffer"}
WITH_STEPS = {"arrays", "parquet", "csv", "lerobot"}
WITH_EPISODES = {"arrays", "parquet", "csv", "robomimic", "lerobot", "minari"}


def shifted(rows):
    """Next observations that have slipped by so many rows."""

    def plant(table):
        return {**table, "next_observations": np.roll(table["next_observations"], rows, axis=0)}

    return plant


def moved_ends(rows):
    """End flags that come late, or early."""

    def plant(table):
        return {**table, "truncated": np.roll(table["truncated"], rows)}

    return plant


def end_inside(table):
    flags = table["terminated"].copy()
    flags[STEPS + 4] = True
    return {**table, "terminated": flags}


def without(*rows):
    """A table from which rows were lost."""

    def plant(table):
        return {name: np.delete(column, rows, axis=0) for name, column in table.items()}

    return plant


def twice(table):
    return {name: np.concatenate([column, column[5:6]]) for name, column in table.items()}


def no_step(table):
    return {**table, "step": np.where(np.arange(len(table["step"])) == 7, np.nan, table["step"])}


def no_episode(table):
    return {**table, "episode": np.where(np.arange(len(table["step"])) == 7, np.nan, table["episode"])}


SHIFTED = r"next_observations are shifted: row 0 .*leads to the observation of"
ENDS = r"is marked as an end, but (its episode continues|the next row continues)"
REFUSED = {
    "next observation a row late": (shifted(1), f"{SHIFTED} the row itself", WITH_NEXT),
    "next observation a row early": (shifted(-1), f"{SHIFTED} the row 2 after it", WITH_NEXT),
    "a step twice": (twice, "rows 5 and 36 are both step 5 of episode 0", WITH_STEPS),
    "a step missing": (no_step, "(step in|column 'step',) row 7.* is missing", WITH_STEPS),
    "an episode missing": (no_episode, "(episode in|column 'episode',) row 7.* is missing", WITH_STEPS),
}
TOLD_OF = {
    "an end in the middle": (end_inside, f"row 16 .*{ENDS}", FORMATS),
    "ends a step late": (moved_ends(1), f"row (0|12) .*{ENDS}", FORMATS),
    "ends a step early": (moved_ends(-1), f"row 10 .*{ENDS}", FORMATS),
    "rows lost": (without(17, 18), r"rows are missing after row 16 \(episode 1, step 4\); .* cut there", WITH_STEPS),
    "a row leads elsewhere": (
        without(17, 18),
        r"row 16 .*does not lead to the next row, .* cut there",
        WITH_NEXT,
    ),
}


def cases(faults):
    return [
        pytest.param(name, *fault[:2], id=f"{title} in {name}")
        for title, fault in faults.items()
        for name in FORMATS
        if name in fault[2]
    ]


def load(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        demos = load_demonstrations(path, **TOLD, trust=True)
    return demos, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", FORMATS)
def test_a_sound_table_is_read_without_a_word(name, tmp_path):
    demos, told = load(FORMATS[name](sound_table(), tmp_path))
    assert (len(demos), told, remarks_in(demos.provenance)) == (EPISODES, [], [])
    assert [f.rule for f in examine_demonstrations(demos) if f.rule == "reading"] == []


@pytest.mark.parametrize(("name", "plant", "message"), cases(REFUSED))
def test_a_table_that_contradicts_itself_is_refused(name, plant, message, tmp_path):
    path = FORMATS[name](plant(sound_table()), tmp_path)
    with pytest.raises(DemoFormatError, match=message):
        load_demonstrations(path, **TOLD, trust=True)


@pytest.mark.parametrize(("name", "plant", "message"), cases(TOLD_OF))
def test_a_fault_is_a_warning_and_a_finding(name, plant, message, tmp_path):
    demos, told = load(FORMATS[name](plant(sound_table()), tmp_path))
    found = [f for f in examine_demonstrations(demos) if f.rule == "reading"]
    assert {f.severity for f in found} == {"warning"}
    assert any(re.search(message, f.message) for f in found), found
    assert len(told) == len(found)
    for one in demos:  # no transition that is not in the table
        assert (np.diff(one.observations[:, 0]) == 2).all()


ORDERS = {
    "in turns": lambda table: np.lexsort((table["episode"], table["step"])),
    "in pairs": lambda table: np.lexsort((table["step"], table["episode"], table["step"] // 2)),
    "backwards": lambda table: np.lexsort((-table["step"], table["episode"])),
    "shuffled": lambda table: np.random.default_rng(0).permutation(len(table["step"])),
}


@pytest.mark.parametrize("whole", [True, False], ids=["with next", "without next"])
@pytest.mark.parametrize("block", [5, 1 << 14])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["arrays", "parquet", "lerobot"])
def test_rows_are_put_in_order(name, order, block, whole, tmp_path, monkeypatch):
    for module in ("arrays", "parquet"):
        monkeypatch.setattr(f"ganq_irl_demos.formats.{module}.BLOCK_ROWS", block)
    monkeypatch.setattr("ganq_irl_demos.tables.arranging.BLOCK_ROWS", block)
    table = sound_table()
    if not whole and name != "lerobot":
        del table["next_observations"]
    rows = ORDERS[order](table)
    demos, told = load(FORMATS[name]({field: column[rows] for field, column in table.items()}, tmp_path))
    assert len(told) == 1
    assert "rows were sorted by episode and step" in told[0]
    steps = STEPS if whole and name != "lerobot" else STEPS - 1
    firsts = sorted(one.observations[0, 0] for one in demos)
    assert firsts == [0, 26, 52]
    for one in demos:
        assert len(one) == steps
        assert (np.diff(one.observations[:, 0]) == 2).all()


def test_rows_in_turns_without_steps_need_next_observations(tmp_path):
    table = sound_table()
    rows = ORDERS["in turns"](table)
    table = {name: column[rows] for name, column in table.items() if name != "step"}
    demos, told = load(as_arrays(table, tmp_path))
    assert [len(one) for one in demos] == [STEPS] * EPISODES
    assert "sorted by episode (row 3" in told[0]
    del table["next_observations"]
    with pytest.raises(DemoFormatError, match=r"row 3 continues episode 0 .*--columns step=NAME"):
        load(as_arrays(table, tmp_path))


def test_steps_without_episodes_may_only_begin_again(tmp_path):
    table = {name: sound_table()[name] for name in ("observations", "actions", "step")}
    demos, _ = load(as_arrays(table, tmp_path))
    assert [len(one) for one in demos] == [STEPS - 1] * EPISODES
    with pytest.raises(DemoFormatError, match=r"step 10 in row 1 comes after step 11, .*--columns episode=NAME"):
        load(as_arrays({name: column[::-1] for name, column in table.items()}, tmp_path))


def test_even_strides_are_no_gaps(tmp_path):
    table = sound_table()
    demos, told = load(as_arrays({**table, "step": table["step"] * 4 + 100}, tmp_path))
    assert (len(demos), told) == (EPISODES, [])


def test_timestamps_tell_of_lost_frames_that_were_numbered_anew(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    root = as_lerobot(sound_table(), tmp_path)
    (file,) = root.glob("data/**/*.parquet")
    table = pq.read_table(file)
    late = np.where(table["frame_index"].to_numpy() > 5, 10, 0)
    where = table.schema.get_field_index("timestamp")
    clock = (table["timestamp"].to_numpy() + late).astype(np.float32)
    pq.write_table(table.set_column(where, "timestamp", [clock]), file)
    demos, told = load(root)
    assert [len(one) for one in demos] == [5, 5] * EPISODES
    assert "rows are missing after row 5" in told[0]


def test_ends_by_a_time_limit_that_nothing_marks(tmp_path):
    table = {name: sound_table()[name] for name in ("observations", "actions", "terminated")}
    path = as_arrays(table, tmp_path)
    _, told = load(path)
    assert "--env ID" in told[0]
    import gymnasium as gym

    gym.register("Twelve-v0", entry_point=lambda: None, max_episode_steps=STEPS)
    try:
        with pytest.warns(UserWarning, match="cut after 12 steps"):
            demos = load_demonstrations(path, **TOLD, env_id="Twelve-v0")
    finally:
        del gym.registry["Twelve-v0"]
    assert [len(one) for one in demos] == [STEPS - 1] * EPISODES


def test_rounding_is_no_contradiction(tmp_path):
    table = sound_table()
    table["next_observations"] = table["next_observations"] * np.float32(1 + 1e-6)
    demos, told = load(as_arrays(table, tmp_path))
    assert (len(demos), told) == (EPISODES, [])


def test_a_missing_value_is_no_number(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", exc_type=ImportError)
    for column in ("actions_0", "observations_1", "truncated", "episode", "step"):
        table = frame(sound_table()).convert_dtypes()
        table.loc[7, column] = pandas.NA
        table.to_parquet(tmp_path / "rows.parquet")
        table.to_csv(tmp_path / "rows.csv", index=False)
        for name in ("rows.parquet", "rows.csv"):
            with pytest.raises(DemoFormatError, match=f"column '{column}', row 7: .*(missing|expected a value)"):
                load_demonstrations(tmp_path / name, **TOLD)
    table = frame(sound_table()).assign(reward=1.0)
    table.loc[7, "reward"] = np.nan  # a recorder has none for the first step
    table.to_parquet(tmp_path / "rows.parquet")
    table.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("rows.parquet", "rows.csv"):
        assert np.isnan(load_demonstrations(tmp_path / name, **TOLD)[0].rewards[7])


@pytest.mark.parametrize("whole_row", [True, False])
def test_a_missing_value_inside_a_list_is_no_number(whole_row, tmp_path):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    import pyarrow.parquet as pq

    table = sound_table()
    rows = table["observations"].tolist()
    rows[7] = None if whole_row else [1.0, None]
    said = "column 'obs', row 7: a value is missing"
    # Releases of pyarrow that need no numpy 2 cannot read a list of fixed size that is missing as a whole.
    fixed = "Expected all lists to be of size=2" if whole_row and int(pa.__version__.split(".")[0]) < 26 else said
    for kind, expected in ((pa.list_(pa.float32()), said), (pa.list_(pa.float32(), 2), fixed)):
        columns = {"obs": pa.array(rows, kind), "act": list(table["actions"]), "episode": table["episode"]}
        pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
        with pytest.raises(DemoFormatError, match=expected):
            load_demonstrations(tmp_path / "rows.parquet", **TOLD)


@pytest.mark.parametrize("field", ["observations", "actions"])
def test_a_masked_value_in_memory_is_no_number(field):
    arrays = {"observations": np.zeros((4, 2), np.float32), "actions": np.zeros((3, 1), np.float32)}
    hidden = np.ma.masked_equal(arrays[field], 1.0)
    hidden[2] = np.ma.masked
    for masked in (hidden, list(hidden)):
        with pytest.raises(InvalidDemonstrations, match=f"{field}, row 2: the value is masked"):
            Trajectory(**{**arrays, field: masked})
    assert len(Trajectory(**{**arrays, field: np.ma.masked_equal(arrays[field], 1.0)})) == 3  # nothing is hidden


def test_a_missing_whole_number_is_named_by_its_step():
    one = Trajectory(np.zeros((4, 2), np.float32), [1, None, 0])
    demos = Demonstrations((one,), OBSERVATIONS, spaces.Discrete(2))
    (finding,) = [f for f in examine_demonstrations(demos) if f.severity == "error"]
    assert (finding.trajectory, finding.step, finding.field, finding.rule) == (0, 1, "actions", "non-finite")


@pytest.mark.parametrize("name", ["arrays", "d4rl"])
@pytest.mark.parametrize("size", [2, 5, 12])
def test_block_borders_hide_nothing(name, size, tmp_path, monkeypatch):
    for plant in (end_inside, moved_ends(1), without(17, 18), without(23, 24)):
        folder = tmp_path / f"{size}-{plant.__qualname__}-{id(plant)}"
        folder.mkdir()
        path = FORMATS[name](plant(sound_table()), folder)
        whole, _ = load(path)
        with monkeypatch.context() as patch:
            patch.setattr(f"ganq_irl_demos.formats.{name}.BLOCK_ROWS", size)
            pieced, _ = load(path)
        assert [len(one) for one in pieced] == [len(one) for one in whole]
        places = [
            [re.findall(r"row \d+|\d+ more", remark) for remark in remarks_in(demos.provenance)] for demos in (whole, pieced)
        ]
        assert places[0] == places[1]


def test_transitions_in_memory_are_looked_through_as_files_are():
    types = pytest.importorskip("imitation.data.types", exc_type=ImportError)

    def transitions(table):
        return types.Transitions(
            obs=table["observations"],
            acts=table["actions"],
            infos=np.array([{}] * len(table["actions"])),
            next_obs=table["next_observations"],
            dones=table["truncated"] | table["terminated"],
        )

    assert load(transitions(sound_table()))[1] == []
    with pytest.raises(DemoFormatError, match=SHIFTED):
        load(transitions(shifted(1)(sound_table())))
    for plant in (end_inside, moved_ends(1), moved_ends(-1)):
        assert any(re.search(ENDS, text) for text in load(transitions(plant(sound_table())))[1])
