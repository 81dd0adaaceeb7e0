"""AIRL's state-only reward beside the exact answer, on a chain small enough for a test; figures are in the benchmarks."""

import sys
from pathlib import Path

import pytest

from ganq_irl.algorithms.maxent import maxent_irl, occupancy, soft_policy
from ganq_irl.environments.mazes import chain
from ganq_irl.rewards import epic_distance
from ganq_irl.rewards.tabular import enumerated_coverage, regret

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from tabular_irl import GAMMA, airl, demonstrate


def small_chain():
    return chain(4)


@pytest.mark.slow
def test_state_only_airl_agrees_with_the_exact_answer_up_to_a_constant():
    env = small_chain()
    exact = maxent_irl(env, occupancy(env, soft_policy(env, env.R, GAMMA), GAMMA), GAMMA)
    coverage = enumerated_coverage(env)
    demos = demonstrate(small_chain(), seed=0, n_episodes=100)
    alone = airl(small_chain, demos, 12_000, 0, "observations")
    assert epic_distance(alone, exact, coverage, GAMMA) < 0.3
    assert regret(alone, env, GAMMA).normalized < 0.05
