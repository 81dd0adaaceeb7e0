import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import check_return_distribution
from ganq_irl.evaluation.return_distributions import LEVELS, quantile_calibration, wasserstein1

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=20).map(np.array)


@given(samples=numbers, value=st.floats(-100, 100))
def test_w1_to_one_return_is_the_mean_distance(samples, value):
    assert wasserstein1(samples, np.array([value])) == pytest.approx(np.abs(samples - value).mean(), abs=1e-9)


@given(samples=numbers, shift=st.floats(-100, 100))
def test_w1_of_a_shift_is_the_shift(samples, shift):
    assert wasserstein1(samples, samples + shift) == pytest.approx(abs(shift), abs=1e-9)


def test_w1_of_normals_of_equal_mean_is_the_difference_of_deviations_times_the_mean_distance():
    quantiles = np.random.default_rng(0).normal(size=200_000)
    assert wasserstein1(quantiles, 3 * quantiles) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.01)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_pooling_can_only_lessen_w1(n_pairs, n_samples, n_returns, seed):
    rng = np.random.default_rng(seed)
    check = check_return_distribution(rng.normal(size=(n_pairs, n_samples)), rng.normal(size=(n_pairs, n_returns)))
    assert check.pooled_wasserstein1 <= check.wasserstein1 + 1e-9


def test_statistics_by_hand():
    samples = np.array([[0.0, 2.0], [5.0, 5.0]])
    check = check_return_distribution(samples, np.array([1.0, -7.0]))
    assert check.wasserstein1 == pytest.approx((1 + 12) / 2)
    assert check.bias == pytest.approx(3 - (-3))
    assert check.spread == pytest.approx((1 + 0) / 2)
    assert check.return_spread == 0
    assert check.scale == 7
    assert check.pairs == 2


def test_the_spread_of_returns_is_that_of_repeated_visits():
    returns = np.array([[0.0, 4.0], [10.0, 10.0]])
    check = check_return_distribution(np.zeros((2, 3)), returns)
    assert check.return_spread == pytest.approx((2 + 0) / 2)
    assert check.spread == 0


def test_a_right_prediction_is_calibrated_and_wrong_ones_show_how():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(300, 1), scale=10)
    returns = means + rng.normal(size=(300, 20))
    samples = rng.normal(size=(300, 500))
    right, narrow, low = (check_return_distribution(means + s, returns) for s in (samples, 0.5 * samples, samples - 1))
    assert right.calibration_error < 0.02
    np.testing.assert_allclose(right.calibration, LEVELS, atol=0.03)
    assert narrow.calibration[0] > 0.15  # Φ(-0.5 * 1.64) = 0.21 of the returns lie below the predicted 5 %
    assert narrow.calibration[-1] < 0.85
    assert np.all(np.array(low.calibration) < LEVELS)
    assert right.wasserstein1 < narrow.wasserstein1 < low.wasserstein1


def test_a_tie_counts_half():
    share = quantile_calibration(np.zeros((1, 3)), np.array([[0.0, 1.0, -1.0, -2.0]]), [0.5])
    assert share == pytest.approx([(0.5 + 0 + 1 + 1) / 4])


def test_levels_may_be_chosen_and_everything_is_json():
    check = check_return_distribution(np.array([[0.0, 1.0]]), np.array([0.25]), levels=(0.1, 0.9))
    assert check.calibration == (0.0, 1.0)
    assert check.calibration_error == pytest.approx(0.1)
    content = json.loads(json.dumps(check.to_json(), allow_nan=False))
    assert content["calibration"] == [0.0, 1.0]
    assert content["levels"] == [0.1, 0.9]


@pytest.mark.parametrize(
    ("samples", "returns"),
    [((3,), (3,)), ((3, 2), (2,)), ((3, 0), (3,)), ((3, 2), (3, 0)), ((0, 2), (0,)), ((3, 2), (3, 1, 1))],
)
def test_shapes_that_do_not_fit_are_refused(samples, returns):
    with pytest.raises(ConfigurationError, match="expected"):
        check_return_distribution(np.zeros(samples), np.zeros(returns))
