"""Nothing that is read runs code, leads out of the file, or takes memory that the file does not deserve."""

from __future__ import annotations

import contextlib
import json
import os
import pickle

import numpy as np
import pytest

from ganq_irl.budget import read_limit
from ganq_irl.errors import DemoFormatError, GanqIrlError, StorageError
from ganq_irl_demos import FORMATS, load_demonstrations, save_demonstrations
from ganq_irl_demos.formats.parquet_footer import _row_groups, _values
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, make_demos, make_trajectory

SPACES = {"observation_space": OBSERVATIONS, "action_space": ACTIONS}


class Payload:
    """Unpickling this makes a folder."""

    def __init__(self, evidence):
        self.evidence = str(evidence)

    def __reduce__(self):
        return os.mkdir, (self.evidence,)


def test_a_replay_buffer_is_opened_on_trust_alone(tmp_path):
    evidence, path = tmp_path / "evidence", tmp_path / "buffer.pkl"
    path.write_bytes(pickle.dumps(Payload(evidence)))
    with pytest.raises(DemoFormatError, match=r"is a pickle, which could run code and is never opened.*--trust"):
        load_demonstrations(path)
    assert not evidence.exists()
    with pytest.raises(DemoFormatError, match=r"holds a NoneType, expected a ReplayBuffer"):
        load_demonstrations(path, trust=True)
    assert evidence.exists(), "the payload itself must work, or this test shows nothing"


def test_objects_in_plain_arrays_are_not_touched(tmp_path):
    evidence, path = tmp_path / "evidence", tmp_path / "plain.npz"
    rows = {"obs": np.zeros((4, 3), np.float32), "acts": np.zeros((4, 1), np.float32), "dones": np.ones(4, bool)}
    np.savez(path, **rows, infos=np.array([Payload(evidence)] * 4, dtype=object))
    load_demonstrations(path, **SPACES, needs=())
    np.savez(path, **{**rows, "acts": np.array([Payload(evidence)] * 4, dtype=object)})
    with pytest.raises(DemoFormatError, match=r"acts\.npy holds object values; only plain numbers are read"):
        load_demonstrations(path, **SPACES)
    assert not evidence.exists()


@pytest.fixture
def hdf5():
    return pytest.importorskip("h5py")


def stored(name, tmp_path):
    path = tmp_path / f"demos{FORMATS[name].suffix}"
    save_demonstrations(make_demos(), path)
    return path


PLACES = {"d4rl": "actions", "robomimic": "data/demo_0/actions"}


@pytest.mark.parametrize("name", PLACES)
def test_objects_and_links_in_hdf5_are_refused(name, tmp_path, hdf5):
    place = PLACES[name]
    other = tmp_path / "secret.hdf5"
    with hdf5.File(other, "w") as file:
        file["actions"] = np.ones((5, 1), np.float32)
    planted = {
        "object values": lambda file: file.create_dataset(place, data=[b"x"] * 5, dtype=hdf5.string_dtype()),
        "is an external or soft link": lambda file: file.__setitem__(place, hdf5.ExternalLink(str(other), "actions")),
        "another file": lambda file: file.create_virtual_dataset(place, virtual(hdf5, other), fillvalue=0),
    }
    for message, plant in planted.items():
        path = stored(name, tmp_path)
        with hdf5.File(path, "a") as file:
            del file[place]
            plant(file)
        with pytest.raises(DemoFormatError, match=rf"demos.*{message}"):
            load_demonstrations(path)


def virtual(hdf5, other):
    layout = hdf5.VirtualLayout((5, 1), "f4")
    layout[:] = hdf5.VirtualSource(str(other), "actions", (5, 1))
    return layout


@pytest.mark.parametrize("name", PLACES)
def test_hdf5_that_declares_more_than_it_holds_is_refused_before_memory_is_taken(name, tmp_path, hdf5):
    path = stored(name, tmp_path)
    with hdf5.File(path, "a") as file:
        del file[PLACES[name]]
        file.create_dataset(PLACES[name], shape=(10**12, 1), dtype="f8", chunks=(1024, 1))
    with pytest.raises(DemoFormatError, match=r"demos.*(would unpack to|differ in length)"):
        load_demonstrations(path)


def test_infos_of_imitation_are_never_decoded(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    datasets = pytest.importorskip("datasets", exc_type=ImportError)
    evidence = tmp_path / "evidence"
    jsonpickled = json.dumps({"py/reduce": [{"py/function": "os.mkdir"}, {"py/tuple": [str(evidence)]}]})
    rows = {"obs": [np.zeros((4, 3), np.float32)], "acts": [np.zeros((3, 1), np.float32)], "infos": [[jsonpickled] * 3]}
    datasets.Dataset.from_dict({**rows, "terminal": [True], "rews": [np.ones(3)]}).save_to_disk(str(tmp_path / "planted"))
    (trajectory,) = load_demonstrations(tmp_path / "planted", **SPACES)
    assert trajectory.episode_return == 3
    assert trajectory.terminated
    assert not evidence.exists()


def test_a_compressed_arrow_file_is_not_unpacked(tmp_path):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    folder = stored("imitation", tmp_path)
    file = next(folder.glob("*.arrow"))
    with pa.ipc.open_stream(file.read_bytes()) as reader:
        table = reader.read_all()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    with pytest.raises(DemoFormatError, match="is compressed, which datasets and Minari never do"):
        load_demonstrations(folder)


def test_the_environment_that_minari_metadata_name_is_not_made(tmp_path):
    pytest.importorskip("minari")
    folder = stored("minari", tmp_path)
    file = folder / "data" / "metadata.json"
    metadata = json.loads(file.read_text())
    (tmp_path / "evil.py").write_text(f"import os; os.mkdir({str(tmp_path / 'evidence')!r})")
    spec = {"id": "Evil-v0", "entry_point": "evil:Env", "kwargs": {}, "additional_wrappers": [], "vector_entry_point": None}
    file.write_text(json.dumps({**metadata, "env_spec": json.dumps(spec)}))
    assert len(load_demonstrations(folder)) == 3
    del metadata["observation_space"]
    file.write_text(json.dumps({**metadata, "env_spec": json.dumps(spec)}))
    with pytest.raises(DemoFormatError, match=r"holds no observation_space, and the environment .* is not made"):
        load_demonstrations(folder)
    assert not (tmp_path / "evidence").exists()


def test_a_space_in_minari_metadata_that_fills_the_memory_is_refused(tmp_path):
    pytest.importorskip("minari")
    folder = stored("minari", tmp_path)
    file = folder / "data" / "metadata.json"
    space = {"type": "Box", "dtype": "float32", "shape": [10**6, 10**6], "low": 0, "high": 1}
    file.write_text(json.dumps({**json.loads(file.read_text()), "observation_space": json.dumps(space)}))
    with pytest.raises(DemoFormatError, match="too large"):
        load_demonstrations(folder)


def test_links_in_a_minari_file_are_refused(tmp_path, hdf5):
    pytest.importorskip("minari")
    folder = stored("minari", tmp_path)
    for place in ("episode_0/actions", "episode_1/infos/secret"):
        with hdf5.File(folder / "data" / "main_data.hdf5", "a") as file:
            if place in file:
                del file[place]
            file.require_group(place.rpartition("/")[0])
            file[place] = hdf5.ExternalLink(str(tmp_path / "other.hdf5"), "actions")
        with pytest.raises(DemoFormatError, match="is an external or soft link"):
            load_demonstrations(folder)
        with hdf5.File(folder / "data" / "main_data.hdf5", "a") as file:
            del file[place]
            file[place] = np.zeros((5, 1), np.float32)


FOLDERS = [name for name, known in FORMATS.items() if known.is_folder]


@pytest.mark.parametrize("name", FOLDERS)
def test_links_in_a_folder_of_demonstrations_are_not_followed(name, tmp_path):
    pytest.importorskip("datasets" if name == "imitation" else FORMATS[name].package, exc_type=ImportError)
    folder = stored(name, tmp_path)
    for inside in [path for path in folder.rglob("*") if path.is_file()]:
        elsewhere = inside.rename(tmp_path / "elsewhere")
        inside.symlink_to(elsewhere)
        with pytest.raises(StorageError, match=rf"{inside.name} is a symbolic link"):
            load_demonstrations(folder)
        inside.unlink()
        elsewhere.rename(inside)
    (tmp_path / f"mine{folder.suffix}").symlink_to(folder)  # what the user himself names may be a link
    assert len(load_demonstrations(tmp_path / f"mine{folder.suffix}")) == 3


@pytest.mark.parametrize("name", [*FORMATS, "mix"])
def test_pipes_are_not_waited_for(name, tmp_path):
    suffix = {"mix": ".toml", "replay-buffer": ".pkl"}.get(name) or FORMATS[name].suffix
    os.mkfifo(tmp_path / f"demos{suffix}")
    with pytest.raises(StorageError, match=r"is a pipe, expected a file or a folder"):
        load_demonstrations(tmp_path / f"demos{suffix}", trust=True)


def test_a_lerobot_path_template_is_not_used(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    folder = stored("lerobot", tmp_path)
    file = folder / "meta" / "info.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "data_path": "/etc/{chunk_index.__class__}"}))
    assert len(load_demonstrations(folder)) == 3


@pytest.mark.parametrize("note", ["[]", "{", '{"seeds": 3}', "null", json.dumps({"a": "b" * 100})])
def test_a_malformed_note_is_a_sentence(note, tmp_path):
    path = stored("arrays", tmp_path)
    with np.load(path) as file:
        entries = {name: file[name] for name in file.files}
    np.savez(path, **{**entries, "ganq_irl": np.frombuffer(note.encode(), np.uint8)})
    with pytest.raises(DemoFormatError, match=r"malformed"):
        load_demonstrations(path)


def test_rows_that_the_note_does_not_know_are_refused(tmp_path):
    path = stored("arrays", tmp_path)
    longer = save_demonstrations(make_demos(*(make_trajectory(seed=i) for i in range(5))), tmp_path / "longer.arrays.npz")
    entries = {}
    for source in (longer, path):
        with np.load(source) as file:
            entries |= {name: file[name] for name in file.files if source == longer or name == "ganq_irl"}
    np.savez(path, **entries)
    with pytest.raises(DemoFormatError, match="holds 5 trajectories, but its note lists 3"):
        load_demonstrations(path)


def test_a_parquet_file_that_declares_too_much_is_refused(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    constant = make_trajectory(5000, observations=np.zeros((5001, 3), np.float32), actions=np.zeros((5000, 1), np.float32))
    path = save_demonstrations(make_demos(constant), tmp_path / "zeros.parquet")
    with read_limit("100K"), pytest.raises(GanqIrlError, match=r"zeros\.parquet would unpack to 1\.41 MiB"):
        load_demonstrations(path)


def test_tables_of_sets_that_name_each_other_or_what_no_file_system_takes(tmp_path):
    for name, other in (("a.toml", "b.toml"), ("b.toml", "a.toml")):
        (tmp_path / name).write_text(f'[[demonstrations]]\nsource = "{other}"\n')
    with pytest.raises(DemoFormatError, match="is such a table itself"):
        load_demonstrations(tmp_path / "a.toml")
    for source in ("x" * 3000, "a\\u0000b", "a/" * 3000):
        (tmp_path / "c.toml").write_text(f'[[demonstrations]]\nsource = "{source}"\n')
        with pytest.raises(DemoFormatError, match=r"expected \[\[demonstrations\]\] tables"):
            load_demonstrations(tmp_path / "c.toml")


def test_lengths_that_lead_out_of_an_arrow_file_do_not_end_the_process(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    folder = stored("imitation", tmp_path)
    file = next(folder.glob("*.arrow"))
    content = file.read_bytes()
    counts = [count.to_bytes(8, "little") for count in (3, 18, 21, 63)]  # trajectories, steps, observations, numbers in them
    places = [at for at in range(0, len(content) - 8, 8) if content[at : at + 8] in counts]
    assert len(places) > 3
    for at in places:
        file.write_bytes(content[: at + 7] + b"\x80" + content[at + 8 :])  # negative
        with contextlib.suppress(DemoFormatError):
            load_demonstrations(folder)


def test_rows_of_another_shape_further_down_are_refused(tmp_path, hdf5):
    path = stored("robomimic", tmp_path)
    with hdf5.File(path, "a") as file:
        place = file["data/demo_1/obs"]
        name = next(iter(place))
        values = place[name][()]
        del place[name]
        place[name] = values[:, :2]
    with pytest.raises(DemoFormatError, match="shapes differ from"):
        load_demonstrations(path)


def test_a_block_of_rows_that_would_fill_the_memory_is_refused(tmp_path, hdf5):
    path = stored("d4rl", tmp_path)
    with hdf5.File(path, "a") as file:
        del file["rewards"]
        file.create_dataset("rewards", (18, 2**33), "u1", chunks=(1, 2**16))
    with pytest.raises(DemoFormatError, match="would unpack to"):
        load_demonstrations(path)


def test_a_parquet_footer_with_a_bit_flipped_anywhere_does_not_end_the_process(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    path = stored("parquet", tmp_path)
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    refused = 0
    for place in range(len(content) - size - 8, len(content), 4):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            load_demonstrations(path, **SPACES)
        except GanqIrlError:
            refused += 1
    assert refused > size / 40


@pytest.mark.parametrize("options", [{}, {"row_group_size": 30}, {"data_page_version": "2.0"}, {"write_page_index": True}])
def test_values_are_counted_as_pyarrow_does(options, tmp_path):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    pq = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    table = pa.table({"a": np.arange(100.0), "b": [[1, 2, 3]] * 100, "c": ["x"] * 100, "d": [True] * 100})
    pq.write_table(table, tmp_path / "a.parquet", **options)
    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    expected = [sum(group.column(index).num_values for index in range(group.num_columns)) for group in groups]
    with open(tmp_path / "a.parquet", "rb") as file:
        assert [sum(map(_values, columns)) for columns in _row_groups(file)] == expected
