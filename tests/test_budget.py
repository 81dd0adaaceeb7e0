"""One budget for what a command reads: arrays count while they live, and files raise it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from ganq_irl import budget
from ganq_irl.budget import FREE, LIMIT, RATIO, VARIABLE, Budget, parse_size, read_limit
from ganq_irl.errors import ConfigurationError, DemoFormatError, ReadLimitExceeded, StorageError


def test_arrays_count_once_and_only_while_they_live():
    found = Budget(100)
    array = np.zeros(10)
    found.hold([array, array[2:], array.reshape(2, 5)], "a")
    assert found.taken == 80
    with pytest.raises(ReadLimitExceeded, match=r"b would unpack to 24 bytes .* than the 100 bytes"):
        found.hold([np.zeros(3)], "b")
    del array
    assert found.taken == 0
    found.hold([np.zeros(12)], "b")


def test_maps_of_files_take_no_memory(tmp_path):
    (tmp_path / "a").write_bytes(bytes(800))
    mapped = np.memmap(tmp_path / "a", np.float64, "r")
    found = Budget(100)
    found.hold([mapped[5:], np.asarray(mapped)], "a")
    assert found.taken == 0


def test_files_raise_the_limit_up_to_a_cap_and_count_once_under_every_name(tmp_path):
    found = Budget()
    assert found.limit == FREE
    size = 2 * FREE // RATIO
    for name in ("a", "b"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(size)
    os.link(tmp_path / "a", tmp_path / "again")
    for source in (tmp_path / "a", tmp_path / "a", tmp_path / "again"):
        found.add_source(source)
    assert found.limit == RATIO * size
    found.add_source(tmp_path)
    assert found.limit == 2 * RATIO * size
    found.add_source(tmp_path / "missing")
    with open(tmp_path / "b", "ab") as file:
        file.truncate(1 << 40)
    again = Budget()
    again.add_source(tmp_path / "b")
    assert again.limit == LIMIT


def test_a_refusal_names_the_flag_and_a_size_that_is_enough():
    with pytest.raises(ReadLimitExceeded, match=rf"--read-limit 20G .* {VARIABLE}=20G") as caught:
        Budget(100).check(10 << 30, "a.npz")
    assert isinstance(caught.value, DemoFormatError)
    assert isinstance(caught.value, StorageError)


def test_a_stream_may_be_longer_than_memory_but_not_than_its_files_explain(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(LIMIT)
    found = Budget()
    found.add_source(tmp_path / "a")
    found.check_stream(2 * LIMIT, "a")
    with pytest.raises(ReadLimitExceeded):
        found.check(2 * LIMIT, "a")
    with pytest.raises(ReadLimitExceeded):
        Budget().check_stream(FREE + 1, "b")


def test_a_limit_holds_inside_of_its_block_and_for_processes_started_there():
    before = os.environ.get(VARIABLE)
    with read_limit("3M") as found:
        assert budget.current() is found
        assert found.limit == 3 << 20
        assert os.environ[VARIABLE] == str(3 << 20)
        with budget.shared() as same:
            assert same is found
        with read_limit() as fresh:
            assert fresh is not found
            assert fresh.limit == found.limit
    assert os.environ.get(VARIABLE) == before
    assert budget.current() is not budget.current()


@pytest.mark.parametrize(("text", "size"), [("7", 7), ("2k", 2048), ("32G", 32 << 30), ("1 MiB", 1 << 20), (5, 5)])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5G", "many", "9" * 30])
def test_what_is_no_size_is_a_sentence(text):
    with pytest.raises(ConfigurationError, match="expected a number of bytes, such as 32G"):
        parse_size(text)
