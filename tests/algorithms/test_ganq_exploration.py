"""Random actions that last: their law, their bookkeeping, and what they reach."""

import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.algorithms import GANQ
from ganq_irl.algorithms.ganq.exploration import ez_greedy, no_random_actions
from ganq_irl.errors import ConfigurationError
from tests.algorithms.ganq_examples import small, walk_env

GREEDY = 9  # no random action


def seeded_space(n, seed=0):
    return spaces.Discrete(n, seed=seed)


def test_durations_follow_the_zeta_law():
    space, under_way, greedy, durations = seeded_space(3), no_random_actions(50), np.full(50, GREEDY), []
    for _ in range(2_000):
        idle = under_way[1] == 0
        ez_greedy(greedy, under_way, 1.0, 2.0, space)
        durations.extend(under_way[1, idle] + 1)
        under_way[1] = 0  # the next one begins
    for steps in (1, 2, 3):
        expected = 6 / (np.pi * steps) ** 2  # 1 / ζ(2) = 6 / π²
        assert np.mean(np.array(durations) == steps) == pytest.approx(expected, abs=0.005)  # three standard errors and more


def test_a_random_action_goes_on_until_its_steps_are_over_and_each_environment_has_its_own():
    under_way = np.array([[2, 1, 0], [3, 1, 0]])
    rows = [ez_greedy(np.full(3, GREEDY), under_way, 0.0, 2.0, seeded_space(3)) for _ in range(4)]
    assert np.array_equal(rows, [[2, 1, 9], [2, 9, 9], [2, 9, 9], [9, 9, 9]])


def test_the_rate_is_that_of_beginnings():
    space, n_begun = seeded_space(2), 0
    for _ in range(20):
        n_begun += np.count_nonzero(ez_greedy(np.full(1_000, GREEDY), no_random_actions(1_000), 0.1, 2.0, space) != GREEDY)
    assert n_begun / 20_000 == pytest.approx(0.1, abs=0.01)


def farthest(exponent, seed):
    """How far a walk of 400 random steps to the left and to the right comes."""
    space, under_way, place, reached = seeded_space(2, seed), no_random_actions(1), 0, 0
    for _ in range(400):
        place += 2 * int(ez_greedy(np.zeros(1, dtype=np.int64), under_way, 1.0, exponent, space)[0]) - 1
        reached = max(reached, abs(place))
    return reached


def test_it_comes_farther_than_single_steps():
    # With an exponent of 50 nearly every duration is 1: ε-greedy.
    lasting, single = (np.mean([farthest(exponent, seed) for seed in range(30)]) for exponent in (2.0, 50.0))
    assert lasting > 2 * single


def longest_run(model):
    actions = model.replay_buffer.actions[: model.replay_buffer.size(), 0, 0]
    edges = np.flatnonzero(np.diff(actions, prepend=-1, append=-1))
    return np.diff(edges).max()


def test_ganq_explores_by_it_and_a_seed_repeats_it():
    lasting, again, single = (small(learning_starts=100, exploration_zeta=zeta).learn(100) for zeta in (1.5, 1.5, None))
    assert np.array_equal(lasting.replay_buffer.actions, again.replay_buffer.actions)
    assert longest_run(lasting) > 2 * longest_run(single)


def test_several_environments_each_explore():
    model = small(walk_env(3), learning_starts=50, exploration_zeta=2.0).learn(60)
    assert model._under_way.shape == (2, 3)
    actions = model.replay_buffer.actions[:15, :, 0]
    assert not (actions == actions[:, :1]).all()


def test_saved_and_loaded(tmp_path):
    small(exploration_zeta=2.0).learn(40).save(tmp_path / "model")
    loaded = GANQ.load(tmp_path / "model", walk_env(), device="cpu")
    assert loaded.exploration_zeta == 2.0
    loaded.learn(40)


@pytest.mark.parametrize("exponent", [1.0, 0.5, float("nan"), float("inf")])
def test_an_exponent_that_is_no_law(exponent):
    with pytest.raises(ConfigurationError, match="expected a number above 1"):
        small(exploration_zeta=exponent)
