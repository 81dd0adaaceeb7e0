"""JSON and TOML are weighed before they are parsed."""

from __future__ import annotations

import json
import sys
import time
import tomllib

import pytest

from ganq_irl.budget import read_limit
from ganq_irl.errors import ConfigurationError, ReadLimitExceeded, RunDirectoryError
from ganq_irl.evaluation.pictures import read_progress
from ganq_irl.files import read_json, read_toml
from ganq_irl.parsing import check_table, json_cost, parse_json, parse_toml


def memory_of(value):
    """Bytes of a value and all that it holds."""
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(memory_of(key) + memory_of(item) for key, item in value.items())
    return sys.getsizeof(value) + (sum(map(memory_of, value)) if isinstance(value, list) else 0)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * 999 + "0]",
        "[" + '{"a":0},' * 999 + "0]",
        "[" * 400 + "]" * 400,
        json.dumps(list(range(999))),
        json.dumps({str(index): "ä" * 50 for index in range(500)}, ensure_ascii=False),
        "[" + '{"":{}},' * 999 + "0]",
    ],
)
def test_json_takes_no_more_than_was_counted(text):
    assert memory_of(json.loads(text)) <= json_cost(text)


def test_json_beyond_the_budget_is_not_parsed(tmp_path):
    (tmp_path / "a.json").write_text("[" + "[]," * 10_000 + "0]")
    with read_limit("1M"), pytest.raises(ReadLimitExceeded, match=r"a\.json would unpack to .*--read-limit"):
        read_json(tmp_path / "a.json")
    with read_limit("10M"):
        assert len(read_json(tmp_path / "a.json")) == 10_001
    with read_limit("1M"):
        assert parse_json(b'{"a": [1, 2]}', "b") == {"a": [1, 2]}


@pytest.mark.parametrize(
    "text",
    [
        "a." * 16_000 + "a = 1",
        "a = {" + "b." * 16_000 + "b = 1}",
        "[" + "a." * 16_000 + "a]",
        "1.1 . " * 8_000 + "a = 1",
        '"". ' * 8_000 + "a = 1",
        "\n".join(f"x{index}." + "a." * 250 + "a = 1" for index in range(200)),
        "[" + "a." * 500 + "a]\n" + "\n".join(f"b{index} = 1" for index in range(10_000)),
        "\n".join("[" + "a." * 100 + f"b{index}]" for index in range(1000)),
    ],
)
def test_keys_of_many_parts_are_refused_in_no_time(text, tmp_path):
    (tmp_path / "a.toml").write_text(text)
    start = time.process_time()
    with pytest.raises(ConfigurationError, match=r"a\.toml is not read beyond line \d+: keys with so many dots"):
        read_toml(tmp_path / "a.toml")
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c = 1\n[d.e]\nf = 2",
        "a = [" + "1.5, -2.25e3, " * 5000 + "]",
        "a = [" + "'demos/a.npz', " * 500 + "]",
        "[t]\n" + "\n".join(f"a{index} = 0.5" for index in range(5000)),
    ],
)
def test_ordinary_toml_is_read_as_ever(text):
    assert parse_toml(text, "a.toml") == tomllib.loads(text)


def test_a_table_counts_a_cell_for_each_column_of_each_row():
    table = "a," * 1000 + "a\n" + "0\n" * 1000
    with read_limit("100M"), pytest.raises(ReadLimitExceeded, match="would unpack to 123 MiB"):
        check_table(table, "progress.csv")
    with read_limit("200M"):
        check_table(table, "progress.csv")


def test_a_progress_of_few_bytes_and_many_cells_is_not_read(tmp_path):
    (tmp_path / "progress.csv").write_text("a," * 5000 + "a\n" + "0\n" * 5000)
    with pytest.raises(RunDirectoryError, match=r"progress\.csv would unpack to .*--read-limit"):
        read_progress(tmp_path / "progress.csv")
