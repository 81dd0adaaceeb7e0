"""Checks and batches that go through the data in pieces find the same as those that hold them all."""

from __future__ import annotations

import numpy as np
import pytest

from ganq_irl_demos import batching, examine_demonstrations, load_demonstrations, packing, save_demonstrations
from ganq_irl_demos.checking import rows
from ganq_irl_demos.checking.rows import Rows
from ganq_irl_demos.packing import pack
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
        monkeypatch.setattr(rows, "BLOCK_BYTES", size)
        assert examine_demonstrations(demos) == whole


def test_blocks_are_the_rows_in_order_and_no_larger_than_asked(monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 64)
    arrays = {3: np.arange(10.0).reshape(5, 2), 5: np.arange(10.0, 12).reshape(1, 2), 9: np.arange(12.0, 40).reshape(14, 2)}
    field = Rows.of(arrays, "x")
    blocks = list(field.blocks())
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), np.concatenate(list(arrays.values())))
    assert max(len(block) for _, block in blocks) == 4
    assert [first for first, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks)])[:-1].tolist()
    monkeypatch.setattr(rows, "SAMPLE", 6)
    np.testing.assert_array_equal(field.sample(), np.concatenate(list(arrays.values()))[::4])
    (low, high) = field.ranges.low, field.ranges.high
    assert (low.tolist(), high.tolist(), field.ranges.finite) == ([0, 1], [38, 39], True)


def test_what_lies_end_to_end_is_joined_without_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr("ganq_irl_demos.formats.npz.COMPRESSED_BYTES", 0)
    monkeypatch.setattr("ganq_irl_demos.formats.npz.MAPPED_BYTES", 0)
    demos = many()
    mapped = load_demonstrations(save_demonstrations(demos, tmp_path / "d.npz"))
    _, joined = pack(mapped)
    assert np.shares_memory(joined["observations"], mapped[4].observations)
    assert not joined["observations"].flags.writeable
    assert mapped.checksum == demos.checksum
    _, apart = pack(mapped[::2])
    assert not np.shares_memory(apart["observations"], mapped[0].observations)
    np.testing.assert_array_equal(apart["actions"], np.concatenate([one.actions for one in mapped[::2]]))


def test_two_arrays_that_happen_to_be_neighbours_are_not_taken_for_one():
    whole = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    parts = [np.frombuffer(whole.data, np.float32)[:6].reshape(3, 2), whole[3:]]

    assert packing._lie_end_to_end([whole[:3], whole[3:]])
    assert not packing._lie_end_to_end([whole[3:], whole[:3]])
    assert not packing._lie_end_to_end([whole[:3], whole[4:]])
    assert not packing._lie_end_to_end([whole[:3], parts[1].copy()])


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_a_batch_in_a_file_is_the_batch_in_memory(limit, monkeypatch):
    demos = many()
    expected = demos.to_batch()
    monkeypatch.setattr(batching, "IN_MEMORY", limit)
    monkeypatch.setattr(batching, "CHUNK_ROWS", 7)
    batch = demos.to_batch()
    for name in ("observations", "actions", "next_observations", "dones"):
        given = getattr(batch, name)
        assert given.dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(given.numpy(), getattr(expected, name).numpy())
    batch.observations[0] = 0  # as any tensor, its own
    assert demos[0].observations[0].any()


def test_pieces_of_one_row_are_joined_whatever_their_stride():
    whole = np.arange(6.0).reshape(3, 2)
    parts = [whole[::2][:1], whole[1:2], whole[2:]]
    assert np.array_equal(packing._join(parts, "actions", "set"), whole)
