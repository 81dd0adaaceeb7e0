import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from ganq_irl.environments import (
    ANT,
    CHANGED_PENDULUM,
    CONTINUING_CARTPOLE,
    DISABLED_ANT,
    TRANSFER_PAIRS,
)
from ganq_irl.environments.cartpole import ContinuingCartPoleEnv, changed_cartpole
from ganq_irl.environments.pendulum import VariedPendulumEnv
from ganq_irl.errors import ConfigurationError

QUICK = [env for env in {**TRANSFER_PAIRS, **dict.fromkeys(TRANSFER_PAIRS.values())} if "Ant" not in env]


def episode(env_id, seed, steps=60):
    env = gym.make(env_id)
    env.action_space.seed(seed)
    path = [env.reset(seed=seed)[0]]
    rewards = []
    for _ in range(steps):
        observation, reward, *_ = env.step(env.action_space.sample())
        path.append(observation)
        rewards.append(reward)
    env.close()
    return np.stack(path), np.array(rewards)


@pytest.mark.parametrize("env_id", QUICK)
def test_gymnasium_finds_nothing_to_complain_about(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the spaces, which are Gymnasium's own
        check_env(gym.make(env_id).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", QUICK)
def test_equal_seeds_give_equal_episodes(env_id):
    assert np.array_equal(episode(env_id, 3)[0], episode(env_id, 3)[0])
    assert not np.array_equal(episode(env_id, 3)[0], episode(env_id, 4)[0])


@pytest.mark.parametrize(("learned_in", "tested_in"), [pair for pair in TRANSFER_PAIRS.items() if "Ant" not in pair[0]])
def test_of_a_pair_only_the_dynamics_differ(learned_in, tested_in):
    first, second = gym.make(learned_in), gym.make(tested_in)
    assert first.observation_space == second.observation_space
    assert first.action_space == second.action_space
    assert first.spec.max_episode_steps == second.spec.max_episode_steps
    assert not first.spec.kwargs
    assert not second.spec.kwargs
    assert not np.allclose(episode(learned_in, 0)[0], episode(tested_in, 0)[0])


def test_cartpole_with_its_own_masses_is_cartpole_until_it_falls():
    ours, theirs = gym.make(CONTINUING_CARTPOLE), gym.make("CartPole-v1")
    assert np.array_equal(ours.reset(seed=0)[0], theirs.reset(seed=0)[0])
    for step in range(100):
        mine, reward, terminated, *_ = ours.step(1)
        its, _, fell, *_ = theirs.step(1)
        assert not terminated
        if fell:
            break
        assert reward == 0, step
        assert np.array_equal(mine, its)
    assert step > 5
    assert reward == -1
    assert np.abs(mine).max() <= 0.05
    following, reward, *_ = ours.step(1)
    assert reward == 0
    assert following[1] == pytest.approx(mine[1] + 0.195, abs=0.01)  # it goes on from the restarted pose


def test_a_cartpole_episode_counts_its_falls_and_lasts_500_steps():
    env = gym.make(CONTINUING_CARTPOLE)
    env.reset(seed=0)
    results = [env.step(0) for _ in range(500)]
    assert [result[3] for result in results] == [False] * 499 + [True]
    falls = -sum(result[1] for result in results)
    restarts = sum(np.abs(result[0]).max() <= 0.05 for result in results)
    assert falls == restarts
    assert 40 < falls < 70  # a push in one direction falls after about 9 steps


def test_a_step_of_the_changed_cartpole_by_hand():
    """Barto, Sutton & Anderson (1983), equations of motion, Euler's method."""
    env = changed_cartpole()
    env.reset(seed=0)
    x, v, angle, spin = env.state = np.array([0.1, -0.2, 0.05, 0.3])
    cart, pole, half = 0.2, 0.3, 0.3
    push = (10 + pole * half * spin**2 * np.sin(angle)) / (cart + pole)
    turn = (9.8 * np.sin(angle) - np.cos(angle) * push) / (half * (4 / 3 - pole * np.cos(angle) ** 2 / (cart + pole)))
    pushed = push - pole * half * turn * np.cos(angle) / (cart + pole)
    expected = [x + 0.02 * v, v + 0.02 * pushed, angle + 0.02 * spin, spin + 0.02 * turn]
    assert env.step(1)[0] == pytest.approx(expected, rel=1e-6)


def test_a_pendulum_with_its_own_constants_is_pendulum():
    ours, theirs = VariedPendulumEnv(), gym.make("Pendulum-v1").unwrapped
    ours.reset(seed=0), theirs.reset(seed=0)
    for torque in np.linspace(-2, 2, 20):
        mine, its = ours.step(np.array([torque])), theirs.step(np.array([torque]))
        assert np.array_equal(mine[0], its[0])
        assert mine[1] == its[1]


def test_a_step_of_the_changed_pendulum_by_hand():
    env = gym.make(CHANGED_PENDULUM).unwrapped
    env.reset(seed=0)
    env.state = np.array([0.5, -0.3])
    observation, reward, *_ = env.step(np.array([1.5]))
    spin = -0.3 + 0.05 * (3 * 7.0 / (2 * 0.8) * np.sin(0.5) + 3 / (0.4 * 0.8**2) * 1.5)
    angle = 0.5 + 0.05 * spin
    assert observation == pytest.approx([np.cos(angle), np.sin(angle), spin], rel=1e-5)
    assert reward == pytest.approx(-(0.5**2 + 0.1 * 0.3**2 + 0.001 * 1.5**2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ContinuingCartPoleEnv(cart_mass=0),
        lambda: ContinuingCartPoleEnv(pole_length=-1),
        lambda: VariedPendulumEnv(mass=0),
        lambda: VariedPendulumEnv(gravity=-9.8),
    ],
)
def test_masses_and_lengths_are_positive(make):
    with pytest.raises(ConfigurationError, match="expected a positive number"):
        make()


def test_importing_the_environments_does_not_import_mujoco():
    program = "import sys, ganq_irl.environments; assert 'mujoco' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


class TestAnt:
    @pytest.fixture(autouse=True)
    def mujoco(self):
        pytest.importorskip("mujoco")

    def test_it_runs_for_500_steps_whatever_happens(self):
        env = gym.make(ANT)
        env.reset(seed=0)
        assert env.observation_space.shape == (27,)
        ends = [env.step(np.ones(8, np.float32))[2:4] for _ in range(500)]
        assert ends == [(False, False)] * 499 + [(False, True)]

    def test_standing_still_earns_nothing(self):
        env = gym.make(ANT)
        env.reset(seed=0)
        assert abs(sum(env.step(np.zeros(8, np.float32))[1] for _ in range(50))) < 10  # a survival bonus would be 50

    def test_two_legs_have_no_power_and_the_others_have(self):
        legs = {"front": [2, 3, 4, 5], "back": [0, 1, 6, 7]}  # the order of actuators in Gymnasium's ant.xml

        def end(env_id, legs_moved):
            env = gym.make(env_id)
            env.reset(seed=0)
            action = np.zeros(8, np.float32)
            action[legs_moved] = 1
            for _ in range(5):
                observation, reward, *_ = env.step(action)
            return observation, reward

        assert np.array_equal(end(DISABLED_ANT, legs["front"])[0], end(DISABLED_ANT, [])[0])
        assert not np.allclose(end(ANT, legs["front"])[0], end(ANT, [])[0])
        assert np.array_equal(end(DISABLED_ANT, legs["back"])[0], end(ANT, legs["back"])[0])

    def test_equal_seeds_give_equal_episodes(self):
        for env_id in (ANT, DISABLED_ANT):
            assert np.array_equal(episode(env_id, 3, 10)[0], episode(env_id, 3, 10)[0])
