import numpy as np
import pytest
from imitation.algorithms.mce_irl import mce_occupancy_measures, mce_partition_fh
from seals.base_envs import TabularModelPOMDP

from ganq_irl.algorithms.maxent import demonstrated_occupancy, maxent_irl, occupancy, soft_policy
from ganq_irl.environments.mazes import chain, gridworld, windy_gridworld
from ganq_irl.environments.tabular import small_mdp
from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.rewards import epic_distance, tabular_reward
from ganq_irl.rewards.tabular import enumerated_coverage, regret, reward_table

MAKES = {"chain": chain, "gridworld": gridworld, "windy": windy_gridworld}


def in_seals(env, horizon):
    n = len(env.R)
    return TabularModelPOMDP(
        transition_matrix=env.P,
        observation_matrix=np.eye(n, dtype=np.float32),
        reward_matrix=env.R[:, 0],
        horizon=horizon,
        initial_state_dist=np.eye(n)[env.start],
    )


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_the_soft_policy_and_its_visits_are_those_of_imitations_backup_over_a_long_horizon(make):
    env, gamma, horizon = make(), 0.8, 120
    _, _, by_time = mce_partition_fh(in_seals(env, horizon), discount=gamma)
    policy = soft_policy(env, env.R, gamma)
    np.testing.assert_allclose(policy, by_time[0], atol=1e-8)
    still = np.repeat(policy[None], horizon, axis=0)
    visits = mce_occupancy_measures(in_seals(env, horizon), pi=still, discount=gamma)[1]
    np.testing.assert_allclose(occupancy(env, policy, gamma), visits, atol=1e-8)


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.parametrize("gamma", [0.5, 0.9])
def test_from_exact_visits_the_true_reward_comes_back_up_to_a_constant(make, gamma):
    env = make()
    recovered = maxent_irl(env, occupancy(env, soft_policy(env, env.R, gamma), gamma), gamma)
    np.testing.assert_allclose(reward_table(recovered, env), env.R - env.R[:, 0].mean(), atol=1e-3)
    assert epic_distance(recovered, tabular_reward(env.R), enumerated_coverage(env), gamma) < 1e-3
    assert regret(recovered, env, gamma).normalized < 1e-6


def test_why_imitations_learner_is_not_used():
    """With γ < 1 it sets an undiscounted policy's visits against the expert's, and ends with another reward."""
    env, gamma = chain(), 0.9
    visits = occupancy(env, soft_policy(env, env.R, gamma), gamma)
    _, undiscounted = mce_occupancy_measures(in_seals(env, 50), discount=gamma)  # as its gradient calls it
    assert np.abs(undiscounted - visits).max() > 1


def test_from_demonstrations_the_reward_is_near():
    env, gamma, rng = gridworld(3), 0.9, np.random.default_rng(0)
    policy, episodes = soft_policy(env, env.R, gamma), []
    for _ in range(200):
        states = [env.start]
        for _ in range(50):
            action = rng.choice(5, p=policy[states[-1]])
            states.append(rng.choice(9, p=env.P[states[-1], action]))
        episodes.append(np.array(states))
    visits = demonstrated_occupancy(episodes, 9, gamma)
    np.testing.assert_allclose(visits.sum(), 10)
    np.testing.assert_allclose(visits, occupancy(env, policy, gamma), atol=0.3)
    recovered = reward_table(maxent_irl(env, visits, gamma, l2=1e-3), env)[:, 0]
    assert np.corrcoef(recovered, env.R[:, 0])[0, 1] > 0.9


def test_requests_that_have_no_answer():
    env = chain()
    visits = occupancy(env, soft_policy(env, env.R, 0.9), 0.9)
    with pytest.raises(ConfigurationError, match="1 terminal states"):
        maxent_irl(small_mdp(), np.ones(6), 0.9)
    with pytest.raises(ConfigurationError, match=r"never visit the states \[2\]"):
        maxent_irl(env, np.where(np.arange(6) == 2, 0, visits), 0.9)
    with pytest.raises(ConfigurationError, match="one number each"):
        maxent_irl(env, np.ones(5), 0.9)
    with pytest.raises(ConfigurationError, match="gamma"):
        maxent_irl(env, visits, 1.0)
    with pytest.raises(TrainingDiverged, match="max_iterations"):
        maxent_irl(env, visits, 0.9, max_iterations=1)
