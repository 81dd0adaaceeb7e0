"""Comparisons that follow from ratings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.feedback import RATED, compare_rated
from tests.feedback.examples import random_segment

SEGMENTS = [random_segment(np.random.default_rng(number)) for number in range(8)]


@given(st.lists(st.sampled_from(RATED), min_size=2, max_size=8), st.integers(0, 9))
def test_what_is_rated_higher_is_better_and_equal_ratings_say_nothing(ratings, seed):
    ratings = dict(zip(SEGMENTS, ratings, strict=False))
    known = [rating for rating in ratings.values() if rating != "skipped"]
    found = compare_rated(list(ratings.items()), 3, np.random.default_rng(seed))
    assert len(found) == (3 * len(known) if len(set(known)) > 1 else 0)
    for each in found:
        better, worse = (each.left, each.right) if each.answer == "left" else (each.right, each.left)
        assert int(ratings[better]) > int(ratings[worse])
