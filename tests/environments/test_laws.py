import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from ganq_irl.environments.laws import ReturnLaw, mixture
from ganq_irl.errors import ConfigurationError

COIN = ReturnLaw([-1.0, 1.0], [0.3, 0.7])
BELL = ReturnLaw(2.0, widths=0.5)
BLEND = mixture([COIN, BELL], [0.25, 0.75])


def test_moments_by_hand():
    assert COIN.mean() == pytest.approx(0.4)
    assert COIN.std() == pytest.approx(np.sqrt(1 - 0.16))
    assert BLEND.mean() == pytest.approx(0.25 * 0.4 + 0.75 * 2.0)
    assert BLEND.mode_masses == pytest.approx({-1.0: 0.075, 1.0: 0.175, 2.0: 0.75})


def test_the_cdf_counts_a_point_mass_at_its_place():
    assert np.allclose(COIN.cdf([-1.1, -1.0, 0.0, 1.0]), [0.0, 0.3, 0.3, 1.0])
    assert np.allclose(BELL.cdf([1.5, 2.0]), norm.cdf([-1.0, 0.0]))
    assert BLEND.cdf(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("law", [BELL, mixture([BELL, ReturnLaw(-1.0, widths=2.0)], [0.4, 0.6])])
def test_samples_follow_the_cdf(law):
    assert kstest(law.sample(20_000, np.random.default_rng(0)), law.cdf).pvalue > 0.01
    assert kstest(law.sample(20_000, np.random.default_rng(0)), law.scaled(1.1).cdf).pvalue < 1e-6


@given(factor=st.floats(-3, 3))
def test_scaling_and_sums_move_the_moments_as_they_should(factor):
    law = BLEND.scaled(factor).plus(COIN)
    assert law.mean() == pytest.approx(factor * BLEND.mean() + COIN.mean())
    assert law.std() == pytest.approx(np.hypot(factor * BLEND.std(), COIN.std()))
    assert law.weights.sum() == pytest.approx(1)


@given(seed=st.integers(0, 1000), resolution=st.sampled_from([1e-9, 0.1, 1.0, 100.0]))
def test_merging_keeps_the_mean_and_moves_nothing_further_than_the_resolution(seed, resolution):
    rng = np.random.default_rng(seed)
    law = ReturnLaw(rng.normal(size=12), rng.dirichlet(np.ones(12)))
    merged = law.merged(resolution)
    assert merged.mean() == pytest.approx(law.mean())
    assert len(merged.weights) <= 12
    grid = np.linspace(-4, 4, 200)
    assert (merged.cdf(grid + resolution) >= law.cdf(grid) - 1e-9).all()
    assert (merged.cdf(grid - resolution) <= law.cdf(grid) + 1e-9).all()


def test_equal_modes_are_merged_and_widths_apart_are_not():
    assert len(mixture([COIN, COIN], [0.5, 0.5]).merged(1e-9).weights) == 2
    assert len(mixture([ReturnLaw(2.0), BELL], [0.5, 0.5]).merged(1e-9).weights) == 2


@pytest.mark.parametrize(
    "arguments", [([0.0, 1.0], [1.0]), ([0.0, 1.0], [0.5, 0.6]), ([0.0, 1.0], [1.5, -0.5]), ([0.0], [1.0], [-1.0])]
)
def test_what_is_no_law_is_refused(arguments):
    with pytest.raises(ConfigurationError, match="sum to 1"):
        ReturnLaw(*arguments)
