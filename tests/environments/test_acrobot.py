import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from ganq_irl.environments import CONTINUING_ACROBOT, register_envs

# Bang-bang control along the second joint's velocity swings the arm up.


def swing_up(observation):
    return 2 if observation[5] > 0 else 0


@pytest.fixture
def env():
    made = gym.make(CONTINUING_ACROBOT)
    yield made
    made.close()


def steps_to_goal(env, seed=0, limit=500):
    """Steps of the swing-up until the first goal, on any Acrobot: observations, rewards and ends."""
    observation, _ = env.reset(seed=seed)
    path = [(observation, 0.0, False, False)]
    for _ in range(limit):
        observation, reward, terminated, truncated, _ = env.step(swing_up(observation))
        path.append((observation, float(reward), terminated, truncated))
        if terminated or reward > 0:
            return path
    raise AssertionError("the swing-up never reached the goal")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_dynamics_are_acrobots_until_the_goal(env, seed):
    original = gym.make("Acrobot-v1")
    ours, theirs = steps_to_goal(env, seed), steps_to_goal(original, seed)
    assert len(ours) == len(theirs) > 20
    for mine, its in zip(ours[:-1], theirs[:-1], strict=True):
        assert np.array_equal(mine[0], its[0])
        assert mine[1:] == (0.0, False, False)
    assert theirs[-1][2]
    assert env.observation_space == original.observation_space
    assert env.action_space == original.action_space


def test_the_goal_pays_one_and_restarts_the_pose_without_an_end(env):
    observation, reward, terminated, truncated = steps_to_goal(env)[-1]
    assert (reward, terminated, truncated) == (1.0, False, False)
    angles = np.arctan2(observation[[1, 3]], observation[[0, 2]])
    assert np.abs(angles).max() <= 0.1 + 1e-6
    assert np.abs(observation[4:]).max() <= 0.1 + 1e-6
    assert env.observation_space.contains(observation)
    assert env.unwrapped.state.dtype == np.float32
    following, reward, *_ = env.step(1)
    assert reward == 0
    assert np.abs(following - observation).max() < 0.5  # it goes on from the restarted pose


def test_the_score_of_an_episode_counts_its_goals_and_it_lasts_500_steps(env):
    observation, _ = env.reset(seed=0)
    goals = score = 0
    for step in range(500):
        height = previous_height(env)
        observation, reward, terminated, truncated, _ = env.step(swing_up(observation))
        goals += reward == 1.0
        score += reward
        assert reward in (0.0, 1.0)
        assert not terminated
        assert truncated == (step == 499)
        if reward:
            assert height > 0  # it came from high up
    assert score == goals >= 3


def previous_height(env):
    """Height of the tip above the hinge before a step; the goal is above 1."""
    angle_1, angle_2 = env.unwrapped.state[:2]
    return -np.cos(angle_1) - np.cos(angle_1 + angle_2)


def test_hanging_still_scores_nothing(env):
    env.reset(seed=0)
    assert sum(env.step(1)[1] for _ in range(200)) == 0


def test_equal_seeds_give_equal_episodes_restarts_included(env):
    def episode(seed):
        observation, _ = env.reset(seed=seed)
        path = [observation]
        for _ in range(500):
            observation, *_ = env.step(swing_up(observation))
            path.append(observation)
        return np.stack(path)

    first = episode(3)
    assert np.array_equal(first, episode(3))
    assert not np.array_equal(first, episode(4))


def test_gymnasium_finds_nothing_to_complain_about(env):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        check_env(env.unwrapped, skip_render_check=True)


def test_registration_is_idempotent_and_by_import():
    register_envs()
    register_envs()
    assert gym.spec(CONTINUING_ACROBOT).max_episode_steps == 500
    program = "import gymnasium; gymnasium.make('ganq_irl.environments:ganq_irl/ContinuingAcrobot-v0').reset(seed=0)"
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", program], check=True)
