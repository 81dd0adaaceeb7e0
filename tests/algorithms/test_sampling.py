import contextlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.algorithms.sampling import EpochSampler, seeded_torch
from tests.scripted import global_random_state


def sampler(n_rows, seed=0):
    return EpochSampler(n_rows, torch.Generator().manual_seed(seed))


@given(n_rows=st.integers(1, 40), batch_size=st.integers(1, 40), n_batches=st.integers(1, 6))
def test_no_row_comes_twice_in_a_batch_that_fits_and_none_is_out_of_range(n_rows, batch_size, n_batches):
    draws = sampler(n_rows)
    for _ in range(n_batches):
        batch = draws.draw(batch_size)
        assert batch.shape == (batch_size,)
        assert ((batch >= 0) & (batch < n_rows)).all()
        counts = torch.bincount(batch, minlength=n_rows)
        assert counts.max() <= -(-batch_size // n_rows) + (batch_size > n_rows)


@given(n_rows=st.integers(1, 30), batch_size=st.integers(1, 30))
def test_an_epoch_holds_every_row(n_rows, batch_size):
    draws = sampler(n_rows)
    epoch = torch.cat([draws.draw(batch_size) for _ in range(n_rows // batch_size or 1)])
    if n_rows % batch_size == 0 or batch_size % n_rows == 0:
        counts = torch.bincount(epoch, minlength=n_rows)
        assert (counts == len(epoch) // n_rows).all()
    elif n_rows > batch_size:
        assert len(epoch.unique()) == len(epoch)


def test_draws_are_its_generators_and_continue_from_a_saved_state():
    first, again, other = sampler(10), sampler(10), sampler(10, seed=1)
    assert torch.equal(first.draw(4), again.draw(4))
    state, rng_state = first.state_dict(), first.rng.get_state()
    expected = [first.draw(4) for _ in range(3)]
    other.load_state_dict(state)
    other.rng.set_state(rng_state)
    assert all(torch.equal(one, other.draw(4)) for one in expected)


def test_seeded_torch_repeats_its_block_and_leaves_no_trace():
    state = global_random_state()
    draws = []
    for _ in range(2):
        with seeded_torch(3):
            draws.append(torch.rand(2))
    assert torch.equal(*draws)
    with contextlib.suppress(RuntimeError), seeded_torch(3):
        torch.rand(1)
        raise RuntimeError
    assert global_random_state() == state
