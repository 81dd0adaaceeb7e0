"""The contract that every format keeps, and what the native one does with damaged and hostile files."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ganq_irl.budget import read_limit
from ganq_irl.errors import DemoFormatError
from ganq_irl_demos import FORMATS, Demonstrations, load_demonstrations, save_demonstrations
from ganq_irl_demos.formats import npz
from ganq_irl_demos.headers import content_checksum
from tests.demos.demo_examples import demonstrations, make_demos, make_trajectory, same

in_every_format = pytest.mark.parametrize("name", ["npz"])  # what only a format with a checksum and JSON beside it keeps


@in_every_format
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(demos=demonstrations())
def test_what_was_written_is_read_back_equal(name, tmp_path, demos):
    path = save_demonstrations(demos, tmp_path / f"demos{FORMATS[name].suffix}")
    back = load_demonstrations(path)
    assert same(demos, back)
    assert (back.env_id, back.provenance, back.source) == (demos.env_id, demos.provenance, str(path))
    assert back.observation_space == demos.observation_space
    assert back.action_space == demos.action_space


@in_every_format
def test_equal_demonstrations_give_equal_bytes(name, tmp_path):
    first, second = (save_demonstrations(make_demos(), tmp_path / f"{i}{FORMATS[name].suffix}") for i in range(2))
    assert first.read_bytes() == second.read_bytes()


@in_every_format
def test_an_empty_set_and_bad_values_survive_for_the_checks_to_name(name, tmp_path):
    empty = Demonstrations((), make_demos().observation_space, make_demos().action_space)
    bad = make_demos(make_trajectory(actions=np.full((5, 1), np.nan, np.float32)), make_trajectory(0))
    for index, demos in enumerate((empty, bad)):
        assert same(demos, load_demonstrations(save_demonstrations(demos, tmp_path / f"{index}{FORMATS[name].suffix}")))


@in_every_format
def test_a_file_cut_anywhere_is_refused_by_name(name, tmp_path):
    whole = save_demonstrations(make_demos(), tmp_path / f"whole{FORMATS[name].suffix}").read_bytes()
    path = tmp_path / f"cut{FORMATS[name].suffix}"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(DemoFormatError, match=f"{path.name} .*(copy|record|give)"):
            load_demonstrations(path)


@in_every_format
def test_a_flipped_bit_is_refused_or_changes_nothing(name, tmp_path):
    demos = make_demos()
    whole = save_demonstrations(demos, tmp_path / f"whole{FORMATS[name].suffix}").read_bytes()
    path = tmp_path / f"flipped{FORMATS[name].suffix}"
    generator = np.random.default_rng(0)
    refused = 0
    for position in generator.integers(8 * len(whole), size=300):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            assert same(load_demonstrations(path), demos)
        except DemoFormatError as error:
            assert path.name in str(error)  # noqa: PT017
            refused += 1
    assert refused > 150


def test_an_unknown_ending_or_format_lists_the_known(tmp_path):
    with pytest.raises(DemoFormatError, match=r"name does not say .*\.npz"):
        save_demonstrations(make_demos(), tmp_path / "demos.xyz")
    with pytest.raises(DemoFormatError, match="did you mean 'npz'"):
        save_demonstrations(make_demos(), tmp_path / "demos", format="npy")
    path = save_demonstrations(make_demos(), tmp_path / "DEMOS.NPZ")
    assert same(load_demonstrations(path), make_demos())


class Payload:
    """Unpickling this makes a folder."""

    def __init__(self, evidence):
        self.evidence = str(evidence)

    def __reduce__(self):
        return os.mkdir, (self.evidence,)


def entries_of(demos, tmp_path):
    with np.load(save_demonstrations(demos, tmp_path / "sound.npz")) as file:
        return {name: file[name] for name in file.files}


def rewritten(entries, **changes):
    """Entries with other header values, under a checksum that fits."""
    header = {**json.loads(entries["header"].tobytes()), **changes}
    bare = {key: value for key, value in header.items() if key not in ("format", "version", "checksum")}
    arrays = {name: array for name, array in entries.items() if name != "header"}
    header["checksum"] = content_checksum(bare, arrays)
    return {**entries, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)}


@pytest.mark.parametrize("entry", ["actions", "observations", "header", "observations.extra", "infos"])
def test_a_planted_pickle_is_never_run(entry, tmp_path):
    evidence, path = tmp_path / "evidence", tmp_path / "planted.npz"
    planted = np.array([Payload(evidence)], dtype=object)
    np.savez(path, **{**entries_of(make_demos(), tmp_path), entry: planted})
    with pytest.raises(DemoFormatError, match=r"planted\.npz"):
        load_demonstrations(path)
    assert not evidence.exists()
    np.load(path, allow_pickle=True)[entry]
    assert evidence.exists(), "the payload itself must work, or this test shows nothing"


def test_pickles_stay_shut_even_where_the_look_at_dtypes_missed_one(tmp_path, monkeypatch):
    evidence, path = tmp_path / "evidence", tmp_path / "planted.npz"
    np.savez(path, **{**entries_of(make_demos(), tmp_path), "actions": np.array([Payload(evidence)], dtype=object)})
    with pytest.raises(DemoFormatError, match=r"entry actions\.npy holds object values; only plain numbers are read"):
        load_demonstrations(path)
    monkeypatch.setattr(npz, "_check_declared", lambda *_: None)
    with pytest.raises(DemoFormatError, match="allow_pickle=False"):
        load_demonstrations(path)
    assert not evidence.exists()


def test_a_pickle_called_npz_is_never_opened(tmp_path):
    evidence, path = tmp_path / "evidence", tmp_path / "demos.npz"
    path.write_bytes(pickle.dumps(Payload(evidence)))
    with pytest.raises(DemoFormatError, match=r"is a pickle, which could run code"):
        load_demonstrations(path)
    assert not evidence.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"not a zip", "is not an .npz file"), (b"\x93NUMPY\x01\x00", "is not an .npz file")],
)
def test_other_files_are_told_apart(content, message, tmp_path):
    path = tmp_path / "demos.npz"
    path.write_bytes(content)
    with pytest.raises(DemoFormatError, match=rf"demos\.npz {message}"):
        load_demonstrations(path)


def test_arrays_of_another_library_are_told_apart(tmp_path):
    np.savez(tmp_path / "other.npz", picture=np.zeros((5, 3)), label=np.zeros(5))
    with pytest.raises(DemoFormatError, match=r"other\.npz: no column .* picture, label.*--columns observations=NAME"):
        load_demonstrations(tmp_path / "other.npz")


@pytest.mark.parametrize("missing", ["lengths", "actions", "observations", "rewards", "terminated"])
def test_a_missing_array_is_named(missing, tmp_path):
    entries = entries_of(make_demos(), tmp_path)
    del entries[missing]
    np.savez(tmp_path / "less.npz", **rewritten(entries))
    with pytest.raises(DemoFormatError, match=rf"less\.npz.*{missing}"):
        load_demonstrations(tmp_path / "less.npz")


@pytest.mark.parametrize("extra", ["infos", "observations.extra"])
def test_an_array_that_belongs_nowhere_is_named(extra, tmp_path):
    np.savez(tmp_path / "more.npz", **rewritten({**entries_of(make_demos(), tmp_path), extra: np.zeros(3)}))
    with pytest.raises(DemoFormatError, match=rf"more\.npz.*unexpected: \['{extra}'\]"):
        load_demonstrations(tmp_path / "more.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_given_twice_is_refused(tmp_path):
    path = save_demonstrations(make_demos(), tmp_path / "twice.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("actions.npy", archive.read("actions.npy"))
    with pytest.raises(DemoFormatError, match=r"twice\.npz was altered: it has a duplicate entry"):
        load_demonstrations(path)


def test_an_altered_array_is_noticed(tmp_path):
    entries = entries_of(make_demos(), tmp_path)
    np.savez(tmp_path / "altered.npz", **{**entries, "actions": entries["actions"] + 1})
    with pytest.raises(DemoFormatError, match=r"altered\.npz was altered: .* checksum"):
        load_demonstrations(tmp_path / "altered.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": npz.VERSION + 1}, "upgrade ganq-irl"),
        ({"version": "one"}, "format version one"),
        ({"format": "pictures"}, "is not a demonstration file"),
        ({"observation_space": {"type": "Sphere"}}, "no valid observation_space"),
        ({"action_space": None}, "no valid action_space"),
        (
            {"observation_space": {"type": "Box", "shape": [10**6, 10**6], "dtype": "float32", "low": 0, "high": 1}},
            "too large",
        ),
        ({"seeds": [1]}, "one per trajectory"),
        ({"seeds": ["a", "b", "c"]}, "malformed header"),
        ({"ranks": [1.0]}, "malformed header"),
        ({"ranks": ["a", "b", "c"]}, "malformed header"),
        ({"provenance": []}, "malformed header"),
        ({"env_id": 3}, "malformed header"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(changes, message, tmp_path):
    np.savez(tmp_path / "header.npz", **rewritten(entries_of(make_demos(), tmp_path), **changes))
    with pytest.raises(DemoFormatError, match=rf"header\.npz.*{message}"):
        load_demonstrations(tmp_path / "header.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"lengths": np.array([5, 6])},
        {"lengths": np.array([5, 6, 8])},
        {"lengths": np.array([25, -6, -1])},
        {"lengths": np.array([5.0, 6.0, 7.0])},
        {"lengths": np.array(5)},
        {"lengths": np.array([2**62, 2**62, 2**62])},
        {"terminated": np.array([0, 1, 0])},
        {"actions": np.zeros(())},
        {"rewarded": np.array([True, False, True])},
    ],
)
def test_arrays_that_contradict_each_other_are_refused(changes, tmp_path):
    np.savez(tmp_path / "odd.npz", **rewritten({**entries_of(make_demos(), tmp_path), **changes}))
    with pytest.raises(DemoFormatError, match=r"odd\.npz"):
        load_demonstrations(tmp_path / "odd.npz")


def with_raw_entry(path, name, content, entries):
    np.savez(path, **{key: value for key, value in entries.items() if key != name})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", content)


def test_a_size_declared_in_an_array_header_is_checked_before_memory_is_taken(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
    with_raw_entry(tmp_path / "huge.npz", "actions", header.getvalue() + b"\0" * 80, entries_of(make_demos(), tmp_path))
    with pytest.raises(DemoFormatError, match=r"huge\.npz was altered: entry actions\.npy declares \(10000000000000,\)"):
        load_demonstrations(tmp_path / "huge.npz")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    entries = {**entries_of(make_demos(), tmp_path), "actions": np.zeros((1 << 20, 1))}
    np.savez_compressed(tmp_path / "bomb.npz", **entries)
    with read_limit("1M"), pytest.raises(DemoFormatError, match=r"bomb\.npz would unpack to 16 MiB .* --read-limit"):
        load_demonstrations(tmp_path / "bomb.npz")


def test_compression_that_numpy_never_writes_is_refused(tmp_path):
    sound = zipfile.ZipFile(save_demonstrations(make_demos(), tmp_path / "sound.npz"))
    with sound, zipfile.ZipFile(tmp_path / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        for name in sound.namelist():
            archive.writestr(name, sound.read(name))
    with pytest.raises(DemoFormatError, match="compression that numpy does not write"):
        load_demonstrations(tmp_path / "lzma.npz")
