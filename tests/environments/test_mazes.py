import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from ganq_irl.environments import CHAIN, GRIDWORLD, WINDY_GRIDWORLD
from ganq_irl.environments.mazes import chain, gridworld
from ganq_irl.environments.true_rewards import FORMULAS, true_formula
from ganq_irl.errors import ConfigurationError


@pytest.mark.parametrize("name", [CHAIN, GRIDWORLD, WINDY_GRIDWORLD])
def test_they_are_registered_and_run_for_fifty_steps(name):
    env = gym.make(name)
    check_env(env.unwrapped, skip_render_check=True)
    assert env.spec.max_episode_steps == 50
    assert not env.unwrapped.terminal.any()


def test_moves_of_the_chain():
    env = chain(4)
    assert [np.flatnonzero(env.P[s, a]).item() for s in (0, 2, 3) for a in range(3)] == [0, 0, 1, 1, 2, 3, 2, 3, 3]
    assert env.R[:, 0].tolist() == [0, 0, -0.5, 1]


def test_moves_of_the_grid_and_the_wind():
    calm, windy = gridworld(3), gridworld(3, wind=0.25)
    # stay, up, down, left, right from the middle of the left side
    assert [np.flatnonzero(calm.P[3, a]).item() for a in range(5)] == [3, 0, 6, 3, 4]
    assert windy.P[3, 1, 0] == 0.75
    assert windy.P[3, 1, 1] == 0.25
    assert windy.P[8, 0, 8] == 1  # nothing blows further than the side


@pytest.mark.parametrize("make", [chain, gridworld])
def test_every_two_states_are_linked(make):
    """Linked: both can follow one state, or there is a chain of such pairs (Fu et al., 2018, definition 5.1)."""
    follows = (make().P.sum(axis=1) > 0).astype(int)  # (state, next)
    linked = follows.T @ follows > 0
    for _ in range(len(linked)):
        linked = linked @ linked
    assert linked.all()


def test_requests_out_of_range():
    with pytest.raises(ConfigurationError, match="at least 3"):
        chain(2)
    with pytest.raises(ConfigurationError, match="wind=1"):
        gridworld(wind=1.0)


@pytest.mark.parametrize("name", [*FORMULAS, CHAIN, WINDY_GRIDWORLD])
def test_the_formula_is_what_the_environment_pays(name):
    env = gym.make(name)
    formula = true_formula(env)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(200):
        action = env.action_space.sample()
        following, reward, terminated, truncated, _ = env.step(action)
        rows = (np.array(value)[None] for value in (observation, action, following, terminated))
        told = formula(*rows)
        assert told == pytest.approx([reward], abs=1e-4)
        observation = following
        if terminated or truncated:
            observation, _ = env.reset()


def test_formulas_of_unknown_or_altered_environments_are_unknown():
    assert true_formula(gym.make("Pendulum-v1", g=5.0)) is None
    assert true_formula(gym.make("Blackjack-v1")) is None
