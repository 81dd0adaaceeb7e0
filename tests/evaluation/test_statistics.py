import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import (
    EpisodeStatistics,
    early_end_warning,
    length_bias_warning,
    mean_interval,
    normalized_score,
    summarize_episodes,
)

values = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=50).map(np.array)


def test_interval_against_the_table():
    # mean 3, s = sqrt(2.5), t(0.975, 4) = 2.776
    low, high = mean_interval(np.array([1.0, 2, 3, 4, 5]))
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert (low, high) == pytest.approx((3 - half, 3 + half))


@given(values, st.floats(-100, 100))
def test_interval_holds_the_mean_and_moves_with_the_values(x, shift):
    low, high = mean_interval(x)
    assert low - 1e-6 <= x.mean() <= high + 1e-6
    assert mean_interval(x + shift) == pytest.approx((low + shift, high + shift), abs=1e-6)


def test_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 10))
    covered = [low <= 0 <= high for low, high in map(mean_interval, draws)]
    assert 0.935 < np.mean(covered) < 0.965


def test_degenerate_cases():
    assert mean_interval(np.array([4.0])) is None
    assert mean_interval(np.full(5, 4.0)) == (4.0, 4.0)
    one = summarize_episodes(EpisodeStatistics(np.array([4.0]), np.array([10])), seed=3)
    assert (one.std_return, one.interval, one.normalized) == (None, None, None)
    assert json.loads(json.dumps(one.to_json(), allow_nan=False))["mean_return"] == 4.0


def test_summary():
    episodes = EpisodeStatistics(np.array([-200.0, -100.0]), np.array([200, 100]))
    summary = summarize_episodes(episodes, seed=3, references=(-1250.0, -150.0))
    assert (summary.mean_return, summary.episodes, summary.mean_length) == (-150.0, 2, 150.0)
    assert summary.normalized == 1.0
    assert summary.std_return == pytest.approx(math.sqrt(5000))
    assert {"mean_return", "std_return", "interval", "normalized", "episodes"} <= summary.to_json().keys()


def test_normalized_score():
    assert normalized_score(-1250, -1250, -150) == 0
    assert normalized_score(-150, -1250, -150) == 1
    assert normalized_score(50, 100, 0) == 0.5  # an expert below random still spans a scale
    for random, expert in [(3.0, 3.0), (math.nan, 1.0), (0.0, math.inf)]:
        with pytest.raises(ConfigurationError, match="cannot normalize"):
            normalized_score(1.0, random, expert)


@pytest.mark.parametrize(
    ("lengths", "sign", "expected"),
    [
        ([200, 200], "positive", None),
        ([9, 500], "both", None),
        ([], "positive", None),
        ([9, 500], "positive", "staying alive"),
        ([9, 500], "negative", "ending the episode early"),
    ],
)
def test_length_bias(lengths, sign, expected):
    warning = length_bias_warning(np.array(lengths), sign)
    assert warning is None if expected is None else expected in warning and "--control frozen" in warning


@pytest.mark.parametrize(
    ("played", "normalized", "sign", "expected"),
    [
        ([34, 34], None, "both", "last 34 steps, the demonstrations' 100. Unless faster is better here"),
        ([70, 80], 0.5, "negative", "adversary.absorbing=true"),
        ([70, 80], 0.5, "positive", "train longer"),
        ([34, 34], 0.95, "both", None),  # as good as the demonstrations, and quicker
        ([90, 100], None, "both", None),
        ([500], None, "both", None),
    ],
)
def test_episodes_that_end_early(played, normalized, sign, expected):
    warning = early_end_warning(np.array(played), np.array([100, 100]), normalized, sign)
    assert warning is None if expected is None else expected in warning
