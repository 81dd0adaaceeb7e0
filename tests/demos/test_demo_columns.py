"""Checks and batches that go through the data in pieces find the same as those that hold them all."""

from __future__ import annotations

import numpy as np
import pytest

from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos import batching, columns, examine_demonstrations, load_demonstrations, save_demonstrations
from ganq_irl_demos.checking import fields
from ganq_irl_demos.checking.fields import Field
from ganq_irl_demos.columns import Column
from tests.demos.demo_examples import edited, make_demos, make_trajectory


def many(*special):
    return make_demos(*special, *(make_trajectory(20 + index, index) for index in range(5, 12)))


BAD = many(
    make_trajectory(9, 1, observations=edited(make_trajectory(9, 1).observations, ([3, 7], [1, 0]), np.nan)),
    make_trajectory(9, 2, observations=edited(make_trajectory(9, 2).observations, (4, 2), 1e30)),
    make_trajectory(9, 3, actions=edited(make_trajectory(9, 3).actions, ([2, 5, 8], 0), 7.0)),
    make_trajectory(9, 4, rewards=edited(make_trajectory(9, 4).rewards, 8, np.inf)),
    make_trajectory(9, 3),
    make_trajectory(9, 3),
)
ODD = many(make_trajectory(9, 1, observations=edited(make_trajectory(9, 1).observations, (3, 1), 9.9)))


@pytest.mark.parametrize("demos", [BAD, ODD, many()])
def test_small_blocks_find_what_one_block_finds(demos, monkeypatch):
    whole = examine_demonstrations(demos)
    for size in (1, 40, 100):
        monkeypatch.setattr(fields, "BLOCK_BYTES", size)
        assert examine_demonstrations(demos) == whole


def test_blocks_are_the_rows_in_order_and_no_larger_than_asked(monkeypatch):
    monkeypatch.setattr(fields, "BLOCK_BYTES", 64)
    array = np.arange(40.0).reshape(20, 2)
    field = Field("x", array, np.array([0, 5, 5, 6, 20]))
    blocks = list(field.blocks())
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), array)
    assert max(len(block) for _, block in blocks) == 4
    assert [first for first, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks)])[:-1].tolist()
    monkeypatch.setattr(fields, "SAMPLE", 6)
    np.testing.assert_array_equal(field.sample(), array[::4])
    (low, high) = field.ranges.low, field.ranges.high
    assert (low.tolist(), high.tolist(), field.ranges.finite) == ([0, 1], [38, 39], True)
    found = field.findings(lambda block: (block >= 9) & (block <= 13), "error", "odd", "expected others")
    assert [(one.trajectory, one.step) for one in found] == [(0, 4), (2, 0), (3, 0)], "an episode without rows owns none"


def test_episodes_of_a_large_file_stay_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr("ganq_irl_demos.formats.npz.COMPRESSED_BYTES", 0)
    monkeypatch.setattr("ganq_irl_demos.formats.npz.MAPPED_BYTES", 0)
    demos = many()
    mapped = load_demonstrations(save_demonstrations(demos, tmp_path / "d.npz"))
    for array in (mapped.arrays["observations"], mapped[2:5].arrays["observations"], mapped[4].observations):
        assert isinstance(array.base, np.memmap) or isinstance(array.base.base, np.memmap)
        assert not array.flags.writeable
    assert mapped.checksum == demos.checksum
    np.testing.assert_array_equal(mapped[::2].arrays["actions"], np.concatenate([one.actions for one in mapped[::2]]))


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_a_batch_in_a_file_is_the_batch_in_memory(limit, monkeypatch):
    demos = many()
    expected = demos.to_batch()
    monkeypatch.setattr(columns, "IN_MEMORY", limit)
    monkeypatch.setattr(batching, "CHUNK_ROWS", 7)
    batch = demos.to_batch()
    for name in ("observations", "actions", "next_observations", "dones"):
        given = getattr(batch, name)
        assert given.dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(given.numpy(), getattr(expected, name).numpy())
    batch.observations[0] = 0  # as any tensor, its own
    assert demos[0].observations[0].any()


@pytest.mark.parametrize("limit", [0, 50, 1 << 30])
def test_a_column_in_a_file_is_the_column_in_memory(limit, monkeypatch, tmp_path):
    monkeypatch.setattr(columns, "IN_MEMORY", limit)
    monkeypatch.setattr(columns, "CHUNK", 64)
    pieces = [np.arange(6, dtype=np.int8).reshape(3, 2), np.zeros((0, 2), np.int8), np.full((9, 2), 300, np.int16)]
    column = Column(tmp_path)
    for piece in [*pieces, np.full((1, 2), 0.5, np.float32)]:
        column.append(piece, "x")
    with pytest.raises(InvalidDemonstrations, match=r"^x: shapes \[\(2,\), \(3,\)\]"):
        column.append(np.zeros((1, 3)), "x")
    found = column.finished()
    np.testing.assert_array_equal(found, np.concatenate([*pieces, np.full((1, 2), 0.5)]))
    assert found.dtype == np.float32
    assert isinstance(found, np.memmap) == (limit < 100)
    assert not list(tmp_path.iterdir()), "the file has no name"
