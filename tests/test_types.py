from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.types import Batch


def numbered(n=5, as_dict=False, log_probs=True, start=0):
    """Row i holds i in every field."""
    index = torch.arange(start, start + n)
    observations = {"a": index.float().unsqueeze(1), "b": index} if as_dict else index.float().unsqueeze(1)
    return Batch(observations, index, observations, index.float(), log_probs=-index.float() if log_probs else None)


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("index", [slice(1, 3), torch.tensor([4, 0, 0]), torch.tensor([True, False, True, False, False])])
def test_rows_stay_together(as_dict, index):
    rows = numbered(as_dict=as_dict)[index]
    expected = torch.arange(5)[index]
    assert len(rows) == len(expected)
    assert torch.equal(rows.actions, expected)
    assert torch.equal(rows.dones, expected.float())
    assert torch.equal(rows.log_probs, -expected.float())
    observations = rows.observations["b"] if as_dict else rows.observations.squeeze(1)
    assert torch.equal(observations.float(), expected.float())
    assert rows.returns is None


@given(n=st.integers(0, 20), size=st.integers(1, 7))
def test_minibatches_cover_every_row_once_and_in_order(n, size):
    parts = list(numbered(n).minibatches(size))
    assert [row for part in parts for row in part.actions.tolist()] == list(range(n))
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)


@pytest.mark.parametrize("as_dict", [False, True])
def test_cat_is_the_inverse_of_minibatches(as_dict):
    batch = numbered(7, as_dict)
    joined = Batch.cat(list(batch.minibatches(3)))
    assert torch.equal(joined.actions, batch.actions)
    assert torch.equal(joined.log_probs, batch.log_probs)
    assert joined.returns is None
    if as_dict:
        assert joined.observations.keys() == {"a", "b"}
        assert torch.equal(joined.next_observations["b"], batch.next_observations["b"])


def test_cat_never_drops_a_field_in_silence():
    with_, without = numbered(), numbered(log_probs=False)
    for parts in ([with_, without], [without, with_]):
        with pytest.raises((AssertionError, TypeError)):
            Batch.cat(parts)


@pytest.mark.parametrize("as_dict", [False, True])
def test_map_and_to_reach_every_tensor(as_dict):
    doubled = numbered(as_dict=as_dict).map(lambda tensor: tensor * 2)
    assert doubled.actions.tolist() == [0, 2, 4, 6, 8]
    assert (doubled.observations["b"] if as_dict else doubled.observations.squeeze(1)).tolist() == [0, 2, 4, 6, 8]
    meta = numbered(as_dict=as_dict).to("meta")
    assert meta.device.type == "meta"
    assert (meta.next_observations["a"] if as_dict else meta.next_observations).device.type == "meta"


def test_a_batch_is_not_changed_in_place():
    batch = numbered()
    with pytest.raises(FrozenInstanceError):
        batch.dones = torch.zeros(5)
    assert batch[:2] is not batch
    assert np.array_equal(batch.actions, np.arange(5))
