"""Which parts of experience can be compared, and what they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.errors import ConfigurationError
from ganq_irl.feedback import Steps, cut_segments, draw_segments, windows
from ganq_irl_demos import Trajectory

CONTINUES, TERMINATES, TRUNCATES = 0, 1, 2


def by_hand(ends, length):
    """All windows, found by walking from every start."""
    found = []
    for start in range(len(ends)):
        for stop in range(start + 1, len(ends) + 1):
            if stop - start == length or ends[stop - 1] == TERMINATES:
                found.append((start, stop))
                break
            if ends[stop - 1] == TRUNCATES:
                break
    return found


@given(ends=st.lists(st.sampled_from([CONTINUES, CONTINUES, TERMINATES, TRUNCATES]), min_size=1, max_size=12))
@pytest.mark.parametrize("length", [1, 3, 5])
def test_windows_stay_within_an_episode_and_end_early_only_where_it_terminates(ends, length):
    ends = np.array(ends)
    found = windows(ends != CONTINUES, ends == TERMINATES, length)
    assert [tuple(window) for window in found.tolist()] == by_hand(ends, length)


def counting_steps(ends):
    """Two environments whose observations count steps; the second is 100 ahead, and nothing in it ends."""
    count = np.arange(len(ends), dtype=np.float32)
    observations = np.stack([count, count + 100], axis=1)[..., None]
    ended = np.stack([np.array(ends) != CONTINUES, np.zeros(len(ends), bool)], axis=1)
    terminated = np.stack([np.array(ends) == TERMINATES, np.zeros(len(ends), bool)], axis=1)
    following = observations + np.where(ended[..., None], 0.5, 1.0).astype(np.float32)
    return Steps(observations, -observations, following, observations[..., 0] * 2, terminated, ended)


def test_a_segment_holds_the_steps_of_one_environment_and_the_last_observation_of_its_episode():
    segment = counting_steps([CONTINUES, CONTINUES, TERMINATES, CONTINUES]).segment(0, 1, 3)
    assert segment.observations.ravel().tolist() == [1.0, 2.0, 2.5]
    assert segment.actions.ravel().tolist() == [-1.0, -2.0]
    assert segment.rewards.tolist() == [2.0, 4.0]
    assert segment.terminated
    assert not segment.truncated


def test_drawn_segments_come_from_all_environments_and_are_repeated_by_their_seed():
    steps = counting_steps([CONTINUES, TERMINATES, CONTINUES, TRUNCATES, CONTINUES, CONTINUES])
    drawn = [draw_segments(steps, 60, 2, np.random.default_rng(3)) for _ in range(2)]
    found = {tuple(segment.observations.ravel()[: len(segment)].tolist()) for segment in drawn[0]}
    first = {(0.0, 1.0), (1.0,), (2.0, 3.0), (4.0, 5.0)}
    assert found == first | {(start, start + 1) for start in np.arange(100.0, 105.0)}
    assert all(np.array_equal(a.observations, b.observations) for a, b in zip(*drawn, strict=True))


def test_nothing_is_drawn_where_no_episode_is_long_enough():
    no = np.zeros((2, 1), bool)
    assert draw_segments(Steps(*3 * [np.zeros((2, 1, 1))], np.zeros((2, 1)), no, no), 5, 3, np.random.default_rng(0)) == []


def test_dict_observations_keep_their_keys():
    x = np.zeros((3, 1, 2), np.float32)
    no = np.zeros((3, 1), bool)
    segment = Steps({"a": x, "b": x + 1}, x, {"a": x, "b": x + 2}, x[..., 0], no, no).segment(0, 0, 3)
    assert segment.observations["b"][:, 0].tolist() == [1.0, 1.0, 1.0, 2.0]


def test_segments_of_episodes_are_their_parts():
    count = np.arange(6.0)
    episode = Trajectory(count[:, None], count[:-1], count[:-1], truncated=True, seed=3)
    for segment in cut_segments([episode], 20, 4, np.random.default_rng(0)):
        start = segment.observations[0, 0]
        assert segment.observations.ravel().tolist() == (start + np.arange(5)).tolist()
        assert segment.rewards.tolist() == (start + np.arange(4)).tolist()
        assert segment.truncated == (start == 1)
        assert segment.seed is None


def test_episodes_that_are_too_short_are_refused_with_what_to_do():
    episode = Trajectory(np.zeros((4, 1)), np.zeros(3), truncated=True)
    with pytest.raises(ConfigurationError, match=r"no episode has 4 steps in a row.*set a smaller segment_length"):
        cut_segments([episode], 1, 4, np.random.default_rng(0))
