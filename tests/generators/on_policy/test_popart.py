import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.on_policy.popart import ValueNormalizer
from tests.scripted import generator

OBSERVATIONS = torch.linspace(-2, 2, 20).view(10, 2)


class Head(nn.Module):
    """What a ValueNormalizer needs of a policy."""

    def __init__(self):
        super().__init__()
        self.value_net = nn.Linear(2, 1)
        with torch.no_grad():
            self.value_net.weight.copy_(torch.tensor([[0.5, -1.5]]))
            self.value_net.bias.fill_(0.25)

    def predict_values(self, observations):
        return self.value_net(observations)


@pytest.fixture(scope="module")
def policy():
    return generator("ppo").policy


def values(policy):
    with torch.no_grad():
        return policy.predict_values(OBSERVATIONS).double()


def test_closed_form_of_the_statistics(policy):
    """Debiased exponential averages: after rollouts x and y, moments are (0.9·0.1·x + 0.1·y) / (0.9·0.1 + 0.1)."""
    normalizer = ValueNormalizer(policy, decay=0.9)
    first, second = np.array([1.0, 3.0], np.float32), np.array([10.0, 20.0, 30.0], np.float32)
    normalizer.begin_update(first)
    assert normalizer.mean == pytest.approx(2.0)  # the first rollout's own: nothing is left of the start at 0
    assert normalizer.std == pytest.approx(1.0)
    normalizer.end_update()
    normalizer.begin_update(second)
    normalizer.end_update()
    mean = (0.09 * 2.0 + 0.1 * 20.0) / 0.19
    square = (0.09 * 5.0 + 0.1 * 1400 / 3) / 0.19
    assert normalizer.mean == pytest.approx(mean)
    assert normalizer.std == pytest.approx(np.sqrt(square - mean**2))


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=8), st.floats(0.5, 0.99))
def test_moving_statistics_preserve_every_value(returns, decay):
    """The outputs-preserving update of van Hasselt et al. (2016)."""
    policy = Head()
    normalizer = ValueNormalizer(policy, decay)
    before = values(policy)
    for given_returns in (np.array(returns, np.float32), np.array(returns[::-1], np.float32) * 2 + 1):
        normalizer.begin_update(given_returns)
        scale = 1 + abs(normalizer.mean) + normalizer.std
        torch.testing.assert_close(normalizer.to_returns(values(policy)), before, atol=2e-5 * scale, rtol=1e-4)
        normalizer.end_update()
        torch.testing.assert_close(values(policy), before, atol=2e-5 * scale, rtol=1e-4)
    normalizer.end_update()  # which there is nothing to do for
    torch.testing.assert_close(values(policy), before, atol=2e-5 * scale, rtol=1e-4)


def test_standardize_is_the_inverse_and_the_result_is_standard(policy):
    normalizer = ValueNormalizer(policy)
    returns = np.random.default_rng(0).normal(50, 7, 1000)
    normalizer.begin_update(returns)
    normalizer.end_update()
    standard = normalizer.standardize(returns)
    assert standard.mean() == pytest.approx(0, abs=1e-6)
    assert standard.std() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(normalizer.to_returns(standard), returns)


def test_constant_returns_do_not_divide_by_zero():
    policy = Head()
    normalizer = ValueNormalizer(policy)
    normalizer.begin_update(np.full(10, 3.0, np.float32))
    assert normalizer.std > 0
    assert all(torch.isfinite(parameter).all() for parameter in policy.parameters())


def test_state_comes_back():
    first, second = ValueNormalizer(Head()), ValueNormalizer(Head())
    first.begin_update(np.array([1.0, 5.0]))
    first.end_update()
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    for normalizer in (first, second):
        normalizer.begin_update(np.array([-2.0, 5.0]))
    assert second.mean == first.mean != 0


def test_another_kind_of_value_head_is_refused():
    policy = Head()
    policy.value_net = nn.Sequential(nn.Linear(2, 1))
    with pytest.raises(UnsupportedGenerator, match="normalize_values=False"):
        ValueNormalizer(policy)
