"""Demonstrations that unpack to more than may be read are refused by every format before they take the memory."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from ganq_irl.budget import read_limit
from ganq_irl.errors import DemoFormatError, ReadLimitExceeded
from ganq_irl_demos import FORMATS, load_demonstrations, save_demonstrations
from ganq_irl_demos.recording.saved_policies import load_policy
from ganq_irl_demos.trajectories import fit
from tests.bombs import write_directory, write_overlapping, zeros_npy
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, make_demos, make_trajectory

SPACES = {"observation_space": OBSERVATIONS, "action_space": ACTIONS}
WRITTEN = [name for name, known in FORMATS.items() if known.suffix]
STEPS = 20_000


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_asks_the_budget(name, tmp_path):
    known = FORMATS[name]
    if known.package:
        pytest.importorskip(known.package)
    constant = make_trajectory(
        STEPS, observations=np.zeros((STEPS + 1, 3), np.float32), actions=np.zeros((STEPS, 1), np.float32)
    )
    path = save_demonstrations(make_demos(constant), tmp_path / f"zeros{known.suffix}")
    told = SPACES if name == "csv" else {}
    with read_limit("200K"), pytest.raises(ReadLimitExceeded, match=r"zeros.* would unpack to .* --read-limit"):
        load_demonstrations(path, **told)
    with read_limit("20M"):
        assert load_demonstrations(path, **told).n_transitions in (STEPS, STEPS - 1)


def zeros_of(rows, path):
    last = np.arange(rows) == rows - 1
    np.savez_compressed(path, obs=np.zeros((rows, 3), np.float32), acts=np.zeros((rows, 1), np.float32), dones=last)
    return path


def test_sets_that_are_joined_share_a_budget_and_give_it_back(tmp_path):
    paths = [zeros_of(200_000, tmp_path / f"{index}.npz") for index in range(6)]
    with read_limit("20M") as found:
        for path in paths:
            load_demonstrations(path, **SPACES)
        assert found.taken < 1 << 20, "nobody holds them any more"
        with pytest.raises(ReadLimitExceeded, match="besides"):
            load_demonstrations([(path, 1.0) for path in paths], **SPACES)
        assert found.taken < 1 << 20


def test_a_toml_table_of_sets_shares_a_budget(tmp_path):
    for index in range(6):
        zeros_of(200_000, tmp_path / f"{index}.npz")
    table = "\n".join(f'[[demonstrations]]\nsource = "{index}.npz"' for index in range(6))
    (tmp_path / "sets.toml").write_text(table)
    with read_limit("20M"), pytest.raises(ReadLimitExceeded):
        load_demonstrations(tmp_path / "sets.toml", **SPACES)
    (tmp_path / "deep.toml").write_text("a." * 16_000 + "a = 1")
    with pytest.raises(ValueError, match="keys with so many dots"):
        load_demonstrations(tmp_path / "deep.toml", **SPACES)


@pytest.fixture
def hdf5():
    return pytest.importorskip("h5py")


def test_episodes_that_are_one_and_the_same_count_each(tmp_path, hdf5):
    with hdf5.File(tmp_path / "a.hdf5", "w") as file:
        demo = file.create_group("data/demo_0")
        demo.create_dataset("obs/flat", (10_000, 3), "f4", chunks=(1024, 3))
        demo.create_dataset("actions", (10_000, 1), "f4", chunks=(1024, 1))
        for index in range(1, 50):
            file[f"data/demo_{index}"] = demo
    with read_limit("2M"), pytest.raises(ReadLimitExceeded, match=r"a\.hdf5 would unpack to"):
        load_demonstrations(tmp_path / "a.hdf5", **SPACES)


def test_fill_values_and_an_episode_without_end_are_refused(tmp_path, hdf5):
    with hdf5.File(tmp_path / "a.hdf5", "w") as file:
        for name, width in (("observations", 3), ("actions", 1)):
            file.create_dataset(name, (10**8, width), "f4", chunks=(1024, width))
        file.create_dataset("terminals", (10**8,), "?", chunks=(1024,))
    with read_limit("8M"), pytest.raises(ReadLimitExceeded, match=r"a\.hdf5 would unpack to"):
        load_demonstrations(tmp_path / "a.hdf5", **SPACES)


def test_infos_that_nobody_asks_for_count_where_minari_reads_them(tmp_path, hdf5):
    pytest.importorskip("minari")
    path = save_demonstrations(make_demos(), tmp_path / "a.minari")
    with hdf5.File(path / "data" / "main_data.hdf5", "a") as file:
        for index in range(100):
            file.create_dataset(f"episode_0/infos/part{index}", (10**5,), "f4", chunks=(1024,))
    with read_limit("20M"), pytest.raises(ReadLimitExceeded, match=r"main_data\.hdf5 would unpack to"):
        load_demonstrations(path)


def test_a_page_of_parquet_is_counted_whatever_the_footer_says(tmp_path):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    pq = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    text = pa.table({"obs": np.zeros(10), "done": np.ones(10, bool), "note": ["x" * 10**6] * 10})
    pq.write_table(text, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    with read_limit("20M"), pytest.raises(ReadLimitExceeded, match=r"a\.parquet would unpack to 28"):
        load_demonstrations(tmp_path / "a.parquet", **SPACES)


@pytest.mark.parametrize(("name", "place"), [("minari", "data/metadata.json"), ("lerobot", "meta/info.json")])
def test_json_of_empty_lists_is_not_parsed(name, place, tmp_path):
    pytest.importorskip(FORMATS[name].package)
    path = save_demonstrations(make_demos(), tmp_path / f"a{FORMATS[name].suffix}")
    content = json.loads((path / place).read_text())
    (path / place).write_text(json.dumps({**content, "more": [[]] * 100_000}))
    with read_limit("4M"), pytest.raises(ReadLimitExceeded, match=r"json would unpack to"):
        load_demonstrations(path)


def test_a_trusted_replay_buffer_counts_before_it_is_opened(tmp_path):
    buffers = pytest.importorskip("stable_baselines3.common.buffers")
    from stable_baselines3.common.save_util import save_to_pkl

    buffer = buffers.ReplayBuffer(10_000, OBSERVATIONS, ACTIONS)
    save_to_pkl(tmp_path / "a.pkl", buffer)
    with read_limit("500K"), pytest.raises(ReadLimitExceeded, match=r"a\.pkl would unpack to"):
        load_demonstrations(tmp_path / "a.pkl", trust=True)


def test_a_policy_in_a_zip_counts_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", json.dumps({"policy_class": {}}) + " " * 10**7)
    with read_limit("4M"), pytest.raises(ReadLimitExceeded, match=r"a\.zip would unpack to"):
        load_policy(str(tmp_path / "a.zip"), OBSERVATIONS, ACTIONS, trust=True)


def test_entries_of_an_archive_that_share_their_bytes_are_refused(tmp_path):
    names = [f"{name}.npy" for name in ("obs", "acts", "next_obs", "dones", *map(str, range(50)))]
    write_overlapping(tmp_path / "a.npz", names, zeros_npy(10**5))
    with pytest.raises(DemoFormatError, match="entries of the archive overlap"):
        load_demonstrations(tmp_path / "a.npz", **SPACES)


def test_an_archive_with_a_long_list_of_entries_is_not_parsed(tmp_path):
    for name, read in (
        ("a.npz", load_demonstrations),
        ("a.zip", lambda path: load_policy(path, *SPACES.values(), trust=True)),
    ):
        write_directory(tmp_path / name, 100_000)
        with pytest.raises(DemoFormatError, match=rf"{name} has a directory of 4\.\d+ MiB, more than 4 MiB"):
            read(str(tmp_path / name))


def test_numbers_of_another_kind_count_before_they_are_converted():
    flags = make_trajectory(STEPS, observations=np.zeros((STEPS + 1, 1), bool), actions=np.zeros(STEPS))
    with read_limit("150K"), pytest.raises(ReadLimitExceeded, match="an array of float64 as int64"):
        fit(flags, Box(0, 1, (1,)), Discrete(2))
    with read_limit("70K"), pytest.raises(ReadLimitExceeded, match="an array of bool as float32"):
        fit(flags, Box(0, 1, (1,)), Box(0, 1, ()))
    assert fit(flags, Box(0, 1, (1,)), Discrete(2)).actions.dtype == np.int64


def test_what_is_in_memory_already_has_no_limit():
    table = {"obs": np.zeros((STEPS, 3)), "acts": np.zeros((STEPS, 1), np.float32), "dones": np.arange(STEPS) == STEPS - 1}
    with read_limit("1K"):
        assert load_demonstrations(table, **SPACES).n_transitions == STEPS - 1
