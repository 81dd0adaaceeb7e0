import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.discriminator import STATE_ACTION_STATE, Discriminator, DiscriminatorLearner, InputEncoder
from ganq_irl.types import Batch

LARGEST = float(np.finfo(np.float32).max)
BOUNDED = spaces.Box(np.array([-1.0, -8.0], np.float32), np.array([1.0, 8.0], np.float32))
TORQUE = spaces.Box(-2.0, 2.0, (1,))


def transitions(observations, actions=None):
    observations = torch.as_tensor(observations, dtype=torch.float32)
    n = len(observations)
    actions = torch.linspace(-2, 2, n).unsqueeze(1) if actions is None else actions
    return Batch(observations, actions, observations, torch.zeros(n))


def learner_of(reference, space=BOUNDED, names=("space-range",)):
    encoder = InputEncoder(space, TORQUE, STATE_ACTION_STATE)
    return DiscriminatorLearner(Discriminator(encoder, (8,)), reference, stabilizers=names)


def still(mean=(0.9, 0.0), deviation=1e-3, n=64):
    """Observations that hardly move, each column to and fro by ``deviation``."""
    sign = torch.tensor([1.0, -1.0]).repeat(n // 2).unsqueeze(1)
    return torch.tensor(mean) + deviation * sign


def test_a_narrow_column_is_divided_by_a_tenth_of_the_way_to_its_farther_bound():
    encoder = learner_of(transitions(still())).discriminator.encoder
    std = encoder.std[encoder.columns("observations")]
    assert std.tolist() == pytest.approx([(0.9 + 1.0) / 10, (8.0 - 0.0) / 10], rel=1e-5)
    assert torch.equal(encoder.std[encoder.columns("next_observations")], std)  # one potential reads s and s' alike


def test_columns_that_use_their_space_stay_as_they_were():
    reference = transitions(still(mean=(0.2, 0.5), deviation=0.9))  # 1.2 / 10 and 8.5 / 10 at the least
    kept, plain = (learner_of(reference, names=names).discriminator.encoder for names in (("space-range",), ()))
    assert torch.equal(kept.std, plain.std)
    assert plain.std[:2].tolist() == pytest.approx([0.9, 0.9], rel=1e-5)


@pytest.mark.parametrize("bound", [np.inf, LARGEST])  # Gymnasium's CartPole once said "unbounded" by the largest number
def test_columns_without_bounds_stay_as_they_were(bound):
    space = spaces.Box(np.array([-bound, -8.0], np.float32), np.array([1.0, bound], np.float32))
    encoder = learner_of(transitions(still()), space).discriminator.encoder
    assert encoder.std[:2].tolist() == pytest.approx([1e-3, 1e-3], rel=1e-3)


@given(mean=st.floats(-1, 1), deviation=st.floats(0, 0.5), x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_values_within_the_bounds_are_told_apart(mean, deviation, x, y):
    """Cut at ten deviations of a still demonstration, all but a sliver of the space would be one value."""
    n = 8
    observations = torch.tensor([mean, 0.0]) + deviation * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    encoder = learner_of(transitions(observations.clamp(-1, 1))).discriminator.encoder
    features = encoder(transitions([[x, 0.0], [y, 0.0]])).features[:, 0]
    assert features.abs().max() <= 10 * (1 + 1e-6)
    assert (features[1] - features[0]).item() == pytest.approx((y - x) / encoder.std[0].item(), abs=1e-4)


def test_what_comes_before_others_is_the_scale():
    """Virtual batch normalization keeps rows of the real data as the networks will see them."""
    reference = transitions(still())
    learner = learner_of(reference, names=["virtual-batch-norm", "space-range"])
    rows = learner.discriminator.encode(reference).features
    assert torch.equal(learner.discriminator.network.reference, rows)


def test_data_that_come_later_are_scaled_so_too():
    learner = learner_of(None)
    learner.fit_reference(transitions(still()))
    assert learner.discriminator.encoder.std[0].item() == pytest.approx(0.19, rel=1e-5)
