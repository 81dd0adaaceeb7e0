"""The distance between a policy's episodes and held-out demonstrations."""

import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import heldout_distance
from ganq_irl_demos import Demonstrations, Trajectory

LINE = spaces.Box(-np.inf, np.inf, (1,))
HORIZON = 40


def episode(states, actions=None, **ends):
    states = np.asarray(states, np.float32).reshape(-1, 1)
    return Trajectory(states, np.zeros((len(states) - 1, 1), np.float32) if actions is None else actions, **ends)


def demonstrations(episodes, observations=LINE, actions=LINE, **more):
    return Demonstrations(episodes, observations, actions, **more)


def walks(n, seed, *, shift=0.0, steps=HORIZON, **ends):
    """Return episodes of noisy states around a level of their own."""
    rng = np.random.default_rng(seed)
    levels = rng.normal(shift, 0.5, n)
    return demonstrations([episode(rng.normal(level, 1, steps + 1), **ends) for level in levels])


EXPERT = walks(8, seed=0, truncated=True)


def test_the_distance_by_hand():
    """Constant episodes: standardized by the deviation of 0 and 2, which is 1, so that distances are those of the levels."""
    expert = demonstrations([episode([0] * 5), episode([2] * 5)])
    policy = demonstrations([episode([4] * 9), episode([7] * 3)])
    found = heldout_distance(expert, policy)
    cross = np.mean([4, 7, 2, 5])
    assert found.distance == pytest.approx(1 - (2 + 3) / (2 * cross))
    assert found.demonstrations == 2


def test_sides_with_nothing_in_common_are_at_1():
    expert, policy = ([episode([level] * 5)] * 3 for level in (0, 1))
    found = heldout_distance(demonstrations(expert), demonstrations(policy))
    assert (found.distance, found.interval) == (1, (1, 1))
    assert heldout_distance(demonstrations(expert), demonstrations(expert)).distance == 0


def test_the_expert_itself_is_at_0_however_alike_the_rows_of_an_episode_are():
    """Rows of one episode lie close together. Compared with each other, they would make any two sets differ."""
    found = [heldout_distance(EXPERT, walks(8, seed=seed, truncated=True)) for seed in range(1, 21)]
    assert abs(np.mean([each.distance for each in found])) < 0.01
    assert np.mean([each.interval[0] <= 0 <= each.interval[1] for each in found]) >= 0.9


def test_the_distance_grows_with_the_difference_and_does_not_saturate():
    found = [heldout_distance(EXPERT, walks(8, seed=1, shift=shift, truncated=True)) for shift in (0, 0.5, 1, 2, 4, 8)]
    distances = [each.distance for each in found]
    assert distances == sorted(distances)
    assert distances[-1] < 0.95
    assert all(one.interval[0] < one.distance < one.interval[1] for one in found)


def test_more_episodes_narrow_the_interval():
    def width(n):
        low, high = heldout_distance(EXPERT, walks(n, seed=3, shift=1, truncated=True)).interval
        return high - low

    assert width(20) < width(3)


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_an_early_end_does_not_look_closer(steps):
    full = heldout_distance(EXPERT, walks(8, seed=1, truncated=True)).distance
    early = heldout_distance(EXPERT, walks(8, seed=1, steps=steps, terminated=True)).distance
    cut_off = heldout_distance(EXPERT, walks(8, seed=1, steps=steps, truncated=True)).distance
    assert early > full + 0.05
    assert early > cut_off


def test_an_expert_that_ends_early_is_at_0_from_itself_and_far_from_one_who_does_not():
    def reaching(seed):
        rng = np.random.default_rng(seed)
        return demonstrations([episode(rng.normal(0, 1, rng.integers(10, 40)), terminated=True) for _ in range(8)])

    expert = reaching(0)
    low, high = heldout_distance(expert, reaching(1)).interval
    assert low <= 0 <= high
    assert heldout_distance(expert, walks(8, seed=1, steps=200, truncated=True)).distance > 0.05


SPACES = {
    "discrete": (spaces.Discrete(5), lambda rng, share: rng.choice(5, 21, p=[share, 0, 1 - share, 0, 0])),
    "image": (
        spaces.Box(0, 255, (36, 36, 3), np.uint8),
        lambda rng, share: (rng.random((21, 36, 36, 3)) < share).astype(np.uint8) * 255,
    ),
    "dict": (
        spaces.Dict({"a": LINE, "b": spaces.MultiBinary(2)}),
        lambda rng, share: {"a": rng.normal(share, 1, (21, 1)), "b": (rng.random((21, 2)) < share).astype(np.int8)},
    ),
}


@pytest.mark.parametrize("kind", SPACES)
def test_every_kind_of_observation(kind):
    space, draw = SPACES[kind]

    def side(seed, share):
        rng = np.random.default_rng(seed)
        episodes = [Trajectory(draw(rng, share), rng.integers(0, 2, 20), truncated=True) for _ in range(4)]
        return demonstrations(episodes, space, spaces.Discrete(2))

    near, far = (heldout_distance(side(0, 0.2), side(1, share)).distance for share in (0.2, 0.8))
    assert abs(near) < 0.05 < far


def test_actions_count_if_the_demonstrations_have_them():
    def side(action, **more):
        actions = np.full((HORIZON, 1), action, np.float32)
        episodes = [Trajectory(t.observations, actions, truncated=True) for t in EXPERT]
        return demonstrations(episodes, **more)

    expert, policy = side(0), side(1)
    assert heldout_distance(expert, policy).distance > 0.05
    states = [Trajectory(t.observations, np.zeros((HORIZON, 0), np.float32), truncated=True) for t in EXPERT]
    without = heldout_distance(demonstrations(states, missing=("actions",)), policy)
    assert without == heldout_distance(expert, policy, inputs=("observations",))
    assert without.distance < 0


def test_one_episode_is_refused():
    with pytest.raises(ConfigurationError, match="given 1 held-out demonstrations; expected at least 2"):
        heldout_distance(EXPERT[:1], EXPERT)
    with pytest.raises(ConfigurationError, match="given 1 episodes of the policy"):
        heldout_distance(EXPERT, EXPERT[:1])
