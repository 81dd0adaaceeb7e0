import json
import os
import stat

import pytest
import torch
from safetensors.torch import load_file

from ganq_irl import storage
from ganq_irl.budget import read_limit
from ganq_irl.errors import ReadLimitExceeded, StorageError
from ganq_irl.storage import CONFIG_FILE, TENSORS_FILE, building_for, flatten_state, load_folder, save_folder
from tests.bombs import write_empty_tensors

CONFIG = {"schema": 1, "discount": 0.99, "names": ["a", "b"], "nested": {"limit": None, "on": True}, "n": 10**20}
TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "/odd name/0": torch.tensor([1, -2], dtype=torch.int64),
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "empty": torch.zeros(0, 4),
    "bits": torch.tensor([True, False]),
    "half": torch.ones(2, dtype=torch.bfloat16),
}


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def umask():
    before = os.umask(0)
    os.umask(before)
    return before


def complaint(call):
    """What our error says, None where there is none; any other error passes."""
    try:
        call()
    except StorageError as error:
        return str(error)
    return None


@pytest.fixture
def saved(tmp_path):
    save_folder(tmp_path / "artifact", CONFIG, TENSORS)
    return tmp_path / "artifact"


# What is saved comes back.


def test_round_trip(saved):
    config, tensors = load_folder(saved)
    assert config == CONFIG
    assert tensors.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        assert tensors[key].dtype == tensor.dtype
        assert torch.equal(tensors[key], tensor)
    assert listing(saved) == [CONFIG_FILE, TENSORS_FILE]
    assert listing(saved.parent) == ["artifact"]


def test_views_and_shared_memory_and_gradients(tmp_path):
    base = torch.arange(12.0).reshape(3, 4).requires_grad_(True)
    save_folder(tmp_path / "x", {}, {"transposed": base.T, "column": base[:, 1], "base": base})
    _, tensors = load_folder(tmp_path / "x")
    assert torch.equal(tensors["transposed"], base.T)
    assert torch.equal(tensors["column"], base[:, 1])


def test_the_files_are_json_and_safetensors(saved):
    assert json.loads((saved / CONFIG_FILE).read_text())["discount"] == 0.99
    assert load_file(saved / TENSORS_FILE).keys() == TENSORS.keys()
    assert {stat.S_IMODE(path.stat().st_mode) for path in saved.iterdir()} == {0o666 & ~umask()}
    assert stat.S_IMODE(saved.stat().st_mode) == 0o777 & ~umask()


def test_saving_again_replaces(saved):
    save_folder(saved, {"schema": 2}, {"x": torch.ones(1)})
    config, tensors = load_folder(saved)
    assert config == {"schema": 2}
    assert tensors.keys() == {"x"}
    assert listing(saved.parent) == ["artifact"]


# Damage.


@pytest.mark.parametrize("name", [CONFIG_FILE, TENSORS_FILE])
def test_every_flipped_bit_is_noticed(saved, name):
    """In the config too: a discount of 0.98 is as wrong as a flipped weight. White space alone may change."""
    content = (saved / name).read_bytes()
    unnoticed = []
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        (saved / name).write_bytes(damaged)
        message = complaint(lambda: load_folder(saved))
        if message is None:
            unnoticed.append(position)
        else:
            assert str(saved) in message
            assert "copy the folder again" in message
    assert all(content[position : position + 1].isspace() for position in unnoticed)
    (saved / name).write_bytes(content)
    assert load_folder(saved)[0] == CONFIG


@pytest.mark.parametrize("name", [CONFIG_FILE, TENSORS_FILE])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_files(saved, name, kept):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StorageError, match="copy the folder again"):
        load_folder(saved)


@pytest.mark.parametrize("name", [CONFIG_FILE, TENSORS_FILE])
def test_missing_files(saved, name):
    (saved / name).unlink()
    with pytest.raises(StorageError, match=rf"holds no {name}: it was not saved by ganq-irl"):
        load_folder(saved)


def test_missing_folders_and_files_in_their_place(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(StorageError, match=r"holds no config\.json"):
            load_folder(path)


@pytest.mark.parametrize("content", ["[]", "null", "3", "{}", '{"sha256": null}', "[" * 100_000, "\ufeff{}"])
def test_a_config_of_another_kind(saved, content):
    (saved / CONFIG_FILE).write_text(content)
    with pytest.raises(StorageError, match="copy the folder again"):
        load_folder(saved)


def test_tensors_that_are_no_safetensors_under_a_right_checksum(saved):
    """The checksum is no proof of good faith: whoever wrote the folder wrote it as well."""
    (saved / TENSORS_FILE).write_bytes(b"\x80\x04garbage" * 50)
    checksum = storage._checksum(CONFIG, saved / TENSORS_FILE)
    (saved / CONFIG_FILE).write_text(json.dumps({**CONFIG, "sha256": checksum}))
    with pytest.raises(StorageError, match="cannot be read"):
        load_folder(saved)


def test_a_list_of_a_million_tensors_is_not_parsed(saved):
    write_empty_tensors(saved, 100_000)
    with pytest.raises(StorageError, match=r"the list of its tensors claims 6\.\d+ MiB, more than 4 MiB"):
        load_folder(saved)
    with open(saved / TENSORS_FILE, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ReadLimitExceeded, match="tensors would unpack to 1 TiB"):
        load_folder(saved)


def test_networks_count_before_they_are_built():
    with read_limit("1M"), pytest.raises(ReadLimitExceeded), building_for({"a": torch.zeros(10)}):
        pytest.fail("there is no room")


def test_a_pickle_is_never_run(saved):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(saved.parent / "exploded"),))

    torch.save(Bomb(), saved / TENSORS_FILE)
    checksum = storage._checksum(CONFIG, saved / TENSORS_FILE)
    (saved / CONFIG_FILE).write_text(json.dumps({**CONFIG, "sha256": checksum}))
    with pytest.raises(StorageError):
        load_folder(saved)
    assert listing(saved.parent) == ["artifact"]


# Saving.


def test_a_failure_without_an_old_folder_leaves_nothing(tmp_path):
    with pytest.raises(StorageError, match="cannot be saved as JSON"):
        save_folder(tmp_path / "new", {"state": flatten_state({"x": object()})[0]}, {})
    with pytest.raises(TypeError):
        save_folder(tmp_path / "new", {"x": object()}, {})
    assert listing(tmp_path) == []


def test_other_files_are_never_deleted(tmp_path):
    """A user who saves into a folder of work must not lose it."""
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(StorageError, match=r"contains other files \(thesis.tex\); choose an empty or a new folder"):
        save_folder(tmp_path, CONFIG, TENSORS)
    assert listing(tmp_path) == ["thesis.tex"]
    with pytest.raises(StorageError, match="is a file, expected a folder"):
        save_folder(tmp_path / "thesis.tex", CONFIG, TENSORS)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_empty_and_new_folders_are_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "deep" / "er"):
        save_folder(folder, CONFIG, TENSORS)
        assert load_folder(folder)[0] == CONFIG


@pytest.mark.parametrize("name", [CONFIG_FILE, TENSORS_FILE])
def test_links_in_a_saved_folder_are_not_followed(saved, name):
    elsewhere = (saved / name).rename(saved.parent / "elsewhere")
    (saved / name).symlink_to(elsewhere)
    with pytest.raises(StorageError, match=rf"{name} is a symbolic link"):
        load_folder(saved)
