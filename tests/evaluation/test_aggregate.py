import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import (
    Scores,
    area_under_curve,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from ganq_irl.evaluation.aggregate import expanded_level

samples = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=8).map(np.array)


def rng(seed=0):
    return np.random.default_rng(seed)


def one(values, **keywords):
    return Scores({"task": np.array(values, float)}, **keywords)


def test_the_interquartile_mean_drops_a_quarter_at_each_end_over_all_tasks():
    scores = Scores({"a": np.array([-100.0, 1, 2, 3]), "b": np.array([4.0, 5, 6, 100])}, failed=2)
    estimate = interquartile_mean(scores, rng())
    assert estimate.value == np.mean([2, 3, 4, 5])
    assert (estimate.runs, estimate.failed) == (8, 2)


def test_equal_runs_have_an_interval_without_width_and_a_single_run_has_none():
    assert interquartile_mean(one([3, 3, 3]), rng()).interval == (3, 3)
    assert interquartile_mean(one([3]), rng()).interval is None
    nothing = interquartile_mean(one([], failed=4), rng())
    assert math.isnan(nothing.value)
    assert (nothing.interval, nothing.runs, nothing.failed) == (None, 0, 4)


def test_the_bootstrap_is_stratified():
    """With two tasks that differ but have no spread of their own there is nothing to resample."""
    scores = Scores({"easy": np.full(5, 1.0), "hard": np.full(5, 0.0)})
    estimate = interquartile_mean(scores, rng())
    assert estimate.interval == pytest.approx((estimate.value, estimate.value))


def test_the_generator_decides_the_interval():
    scores = one(rng().normal(size=6))
    first, again, other = (interquartile_mean(scores, rng(seed), n_resamples=200).interval for seed in (1, 1, 2))
    assert first == again != other


def test_the_expanded_level_against_hesterberg():
    # n = 5: -sqrt(5/4) * t(0.975, 4) = -3.104, whose normal tail is 0.00095
    assert expanded_level([5], 0.95) == pytest.approx(1 - 2 * 0.000954, abs=2e-5)
    assert expanded_level([1000], 0.95) == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize(("n", "tasks"), [(5, 1), (10, 1), (5, 4)])
def test_intervals_of_the_interquartile_mean_cover_as_often_as_they_say(n, tasks):
    """200 intervals: at 95 % the count has a deviation of 1.5 %, and above it an interval is only wide."""
    generator = rng(7)
    draws = generator.exponential(size=(200, tasks, n))
    truth = _trimmed_mean_of_the_exponential()
    hits = 0
    for draw in draws:
        scores = Scores({str(task): values for task, values in enumerate(draw)})
        interval = interquartile_mean(scores, generator, n_resamples=400).interval
        assert interval is not None
        hits += interval[0] <= truth <= interval[1]
    assert 0.95 - 3 * 0.0154 <= hits / len(draws) <= 0.995


def _trimmed_mean_of_the_exponential():
    """Mean of Exp(1) between its quartiles: the integral of −ln(1−p) from 1/4 to 3/4, over 1/2."""

    def integral(p):
        return (1 - p) * math.log(1 - p) + p

    return 2 * (integral(0.75) - integral(0.25))


def test_the_probability_of_improvement_is_mann_and_whitneys_u():
    estimate = probability_of_improvement(one([1, 2, 3], failed=1), one([0, 2], failed=2))
    assert estimate.value == (1 + 0.5 + 1 + 1 + 1) / 6
    assert (estimate.runs, estimate.failed) == (5, 3)


def test_the_probability_of_improvement_is_a_mean_over_shared_tasks():
    first = Scores({"a": np.array([1.0, 1]), "b": np.array([0.0, 0]), "only here": np.array([9.0])})
    second = Scores({"a": np.array([0.0, 0]), "b": np.array([1.0, 1]), "empty": np.array([])})
    assert probability_of_improvement(first, second).value == 0.5


@given(samples, samples)
def test_swapping_the_methods_mirrors_the_probability_and_its_interval(x, y):
    forth, back = probability_of_improvement(one(x), one(y)), probability_of_improvement(one(y), one(x))
    assert forth.value == pytest.approx(1 - back.value)
    (low, high), (other_low, other_high) = forth.interval, back.interval
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low), abs=1e-6)
    assert 0 <= low <= forth.value <= high <= 1


def test_separated_runs_leave_a_width():
    estimate = probability_of_improvement(one([5, 6, 7, 8, 9]), one([0, 1, 2, 3, 4]))
    low, high = estimate.interval
    assert estimate.value == high == 1
    # by hand: (1 − θ) = z² θ (1 + 4 ((1−θ)/(2−θ) + θ/(1+θ))) / 25
    assert 1 - low == pytest.approx(3.8415 * low * (1 + 4 * ((1 - low) / (2 - low) + low / (1 + low))) / 25, abs=1e-4)
    assert 0.5 < low < 0.8


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("tasks", [1, 4])
def test_intervals_of_the_probability_of_improvement_cover_as_often_as_they_say(shift, tasks):
    generator = rng(11)
    truth = special.ndtr(shift / math.sqrt(2))
    hits = 0
    for _ in range(400):
        x, y = generator.normal(shift, 1, (tasks, 5)), generator.normal(0, 1, (tasks, 5))
        low, high = probability_of_improvement(*(Scores({str(i): row for i, row in enumerate(z)}) for z in (x, y))).interval
        hits += low <= truth <= high
    assert 0.95 - 3 * 0.0109 <= hits / 400 <= 0.95 + 3 * 0.0109


def test_methods_without_a_shared_task_cannot_be_compared():
    with pytest.raises(ConfigurationError, match="same tasks"):
        probability_of_improvement(Scores({"a": np.ones(2)}), Scores({"b": np.ones(2)}))


def test_a_profile_counts_runs_above_and_failed_runs_below():
    profile = performance_profile(one([0.1, 0.5, 0.9], failed=1), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(profile.shares, [3 / 4, 1 / 4, 0])
    # Wilson, 0 of 4: from 0 to z²/(n + z²)
    assert (profile.low[2], profile.high[2]) == pytest.approx((0, 3.8415 / 7.8415), abs=1e-4)
    assert (profile.runs, profile.failed) == (3, 1)
    with pytest.raises(ConfigurationError, match="at least one run"):
        performance_profile(one([]), np.zeros(1))


def test_the_area_is_the_mean_height():
    assert area_under_curve(np.array([0, 1, 3]), np.array([0.0, 1, 1])) == (0.5 + 2) / 3
    assert area_under_curve(np.array([7]), np.array([4.0])) == 4
    for steps in ([], [0, 0], [1, 0]):
        with pytest.raises(ConfigurationError, match="ascending"):
            area_under_curve(np.array(steps), np.zeros(len(steps)))
