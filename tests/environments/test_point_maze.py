import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from ganq_irl.environments import POINT_MAZE, SHIFTED_POINT_MAZE
from ganq_irl.environments.point_maze import GOAL, START, STEP, WALLS, PointMazeEnv, point_maze_reward
from ganq_irl.environments.true_rewards import true_formula
from ganq_irl.errors import ConfigurationError

BOTH = (POINT_MAZE, SHIFTED_POINT_MAZE)


def placed(position, gap="right"):
    env = PointMazeEnv(gap)
    env.reset(seed=0)
    env.position = position
    return env


def walk(env, target, limit=100):
    """Straight steps towards a target, until it is reached or the limit is."""
    for _ in range(limit):
        gap = np.subtract(target, env.position)
        observation, *_ = env.step(np.clip(gap / STEP, -1, 1))
        if np.abs(gap).max() < 1e-6:
            break
    return observation


def test_a_step_by_hand():
    env = placed((-0.6, -0.8))
    observation, reward, terminated, truncated, info = env.step(np.array([1.0, -0.5]))
    assert env.position == pytest.approx((-0.4, -0.9))
    assert observation == pytest.approx([-0.4, -0.9])
    assert observation.dtype == np.float32
    assert reward == pytest.approx(-np.hypot(0.6, 1.6) - 0.001 * 1.25)
    assert (terminated, truncated, info) == (False, False, {})


def test_actions_beyond_the_space_are_its_nearest_ones():
    far, near = placed((-0.6, -0.8)), placed((-0.6, -0.8))
    assert far.step(np.array([9.0, -7.0]))[1] == near.step(np.array([1.0, -1.0]))[1]
    assert far.position == near.position


def test_the_goal_pays_all_but_nothing():
    assert placed(GOAL).step(np.zeros(2))[1] == 0


@pytest.mark.parametrize(("gap", "side"), [("right", 0.8), ("left", -0.8)])
def test_the_gap_is_where_it_is_said_to_be(gap, side):
    open_, closed = placed((side, -0.6), gap), placed((-side, -0.6), gap)
    assert walk(open_, (side, 0.6))[1] == pytest.approx(0.6)
    assert walk(closed, (-side, 0.6))[1] == pytest.approx(-0.04)


@pytest.mark.parametrize("gap", WALLS)
def test_each_start_reaches_the_goal_around_the_wall_in_time_only_through_the_gap(gap):
    side = 0.7 if gap == "right" else -0.7
    for corner in (START.low, START.high):
        env = placed(corner, gap)
        walk(env, (side, -0.1), 30)
        walk(env, (side, 0.1), 10)
        assert walk(env, GOAL, 30) == pytest.approx(GOAL, abs=1e-6)
        straight = placed(corner, gap)
        assert walk(straight, GOAL, 100)[1] == pytest.approx(-0.04)


@given(st.sampled_from(sorted(WALLS)), st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=60))
@settings(max_examples=60)
def test_no_episode_is_ever_in_the_wall_or_out_of_the_room(gap, actions):
    env = PointMazeEnv(gap)
    env.reset(seed=1)
    before = env.position
    for action in actions:
        observation, *_ = env.step(np.array(action))
        assert env.observation_space.contains(observation)
        assert not env.wall.contains(env.position)
        low, high = env.wall.low[1], env.wall.high[1]
        if before[1] <= low and env.position[1] >= high:  # a step is longer than the wall is thick
            assert max(before[0], env.position[0]) >= 0.2 if gap == "right" else min(before[0], env.position[0]) <= -0.2
        before = env.position


@pytest.mark.parametrize("env_id", BOTH)
def test_episodes_last_100_steps_from_anywhere_in_the_strip(env_id):
    env = gym.make(env_id)
    starts = np.stack([env.reset(seed=seed)[0] for seed in range(200)])
    assert (starts >= np.float32(START.low)).all()
    assert (starts <= np.float32(START.high)).all()
    assert (np.ptp(starts, axis=0) > 0.9 * np.subtract(START.high, START.low)).all()
    ends = [env.step(np.zeros(2, np.float32))[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]


@pytest.mark.parametrize("env_id", BOTH)
def test_equal_seeds_give_equal_episodes(env_id):
    def episode(seed):
        env = gym.make(env_id)
        env.action_space.seed(seed)
        path = [env.reset(seed=seed)[0]]
        return np.stack([*path, *(env.step(env.action_space.sample())[0] for _ in range(50))])

    assert np.array_equal(episode(3), episode(3))
    assert not np.array_equal(episode(3), episode(4))


@pytest.mark.parametrize("env_id", BOTH)
def test_the_formula_is_what_the_environment_pays(env_id):
    env = gym.make(env_id)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    formula = true_formula(env)
    for _ in range(30):
        action = env.action_space.sample()
        following, reward, *_ = env.step(action)
        assert formula(observation[None], action[None], following[None], np.zeros(1)) == pytest.approx([reward], abs=1e-6)
        observation = following
    assert point_maze_reward(np.array([GOAL]), np.array([[3.0, 0.0]])) == pytest.approx([-0.001])


@pytest.mark.parametrize("env_id", BOTH)
def test_gymnasium_finds_nothing_to_complain_about(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        check_env(gym.make(env_id).unwrapped, skip_render_check=True)


def test_another_side_is_refused():
    with pytest.raises(ConfigurationError, match="expected 'right' or 'left'"):
        PointMazeEnv("top")
