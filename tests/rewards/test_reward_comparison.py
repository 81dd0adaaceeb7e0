from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.environments.tabular import small_mdp
from ganq_irl.errors import ConfigurationError
from ganq_irl.rewards import (
    Coverage,
    FunctionReward,
    RewardModel,
    canonical_reward,
    epic_distance,
    epic_distances,
    pearson,
    pearson_distance,
    rewards_of,
    spearman,
    tabular_reward,
)
from ganq_irl.rewards.tabular import enumerated_coverage, policy_values, regret, reward_table, starc_distance
from tests.toys import ACTIONS, OBSERVATIONS, toy_batch, toy_discriminator

N_STATES, N_ACTIONS, END = 6, 2, 5  # of small_mdp
GAMMAS = st.floats(0.0, 0.99)
SHORT = st.floats(0.0, 0.9)  # nearer to 1 the worth of going on at all outweighs what rewards differ in
SEEDS = st.integers(0, 10_000)


def random_table(seed):
    return np.random.default_rng(seed).normal(size=(N_STATES, N_ACTIONS, N_STATES))


def shaped(table, potential, gamma):
    """γΦ(s') - Φ(s) with Φ = 0 where episodes end."""
    potential = np.where(np.arange(N_STATES) == END, 0.0, potential)
    return table + gamma * potential - potential[:, None, None]


def canonical_by_hand(table, gamma):
    """The same sum, over tables: M over the states that do not end, k as the definition says."""
    going = np.arange(N_STATES - 1)
    mean = table[:, :, going].mean(axis=(1, 2))
    ends = np.arange(N_STATES) == END
    k = np.where(ends, gamma / (1 - gamma), gamma)
    return (table + gamma * np.where(ends, 0, mean) - mean[:, None, None] - k * mean[going].mean())[going]


@given(SEEDS, GAMMAS)
def test_enumerated_epic_is_the_exact_one(seed, gamma):
    env, coverage = small_mdp(), enumerated_coverage(small_mdp())
    tables = random_table(seed), random_table(seed + 1)
    rewards = [tabular_reward(table) for table in tables]
    by_hand = [canonical_by_hand(table, gamma).ravel() for table in tables]
    np.testing.assert_allclose(canonical_reward(rewards[0], coverage, gamma), by_hand[0], atol=1e-6 / (1 - gamma))
    correlation = np.corrcoef(*by_hand)[0, 1]
    assert epic_distance(*rewards, coverage, gamma) == pytest.approx(np.sqrt((1 - correlation) / 2), abs=1e-5)
    assert len(coverage.transitions) == (N_STATES - 1) * N_ACTIONS * N_STATES
    assert env.terminal[END]


@given(SEEDS, SHORT, st.floats(0.01, 100))
def test_shaping_and_a_positive_factor_are_no_distance_and_a_permuted_reward_is_one(seed, gamma, factor):
    env, coverage, table = small_mdp(), enumerated_coverage(small_mdp()), random_table(seed)
    potential = np.random.default_rng(seed + 1).normal(size=N_STATES)
    alike = shaped(factor * table, potential, gamma)
    reward, same, permuted, opposite = map(tabular_reward, (table, alike, np.roll(table, 1, axis=0), -table))
    for distance in (
        lambda a, b: epic_distance(a, b, coverage, gamma),
        lambda a, b: starc_distance(a, b, env, gamma),
    ):
        assert distance(reward, reward) == pytest.approx(0, abs=1e-6)
        assert distance(reward, same) == pytest.approx(0, abs=2e-3)
        assert distance(reward, permuted) > 0.1
        assert distance(reward, permuted) == pytest.approx(distance(permuted, same), abs=2e-3)
        assert distance(reward, opposite) == pytest.approx(1, abs=1e-6)


@given(SEEDS, SHORT)
def test_a_sampled_distance_is_blind_to_shaping_as_well(seed, gamma):
    rng = np.random.default_rng(seed)
    walked = toy_batch(200, seed=seed)
    coverage = Coverage.sampled(walked, rng, n_transitions=100, n_canonical=16)
    box, two = spaces.Box(-np.inf, np.inf, (3,)), spaces.Discrete(2)
    plain = FunctionReward(box, two, lambda s, a, t, d: np.sin(s[:, 0]) + a * t[:, 1])

    def with_potential(s, a, t, d):
        return 3 * plain.function(s, a, t, d) + gamma * (1 - d) * (t**2).sum(axis=1) - (s**2).sum(axis=1)

    other = FunctionReward(box, two, lambda s, a, t, d: np.sin(s[:, 1]) + a * t[:, 2])
    assert epic_distance(plain, FunctionReward(box, two, with_potential), coverage, gamma) < 5e-3
    assert epic_distance(plain, other, coverage, gamma) > 0.1


@pytest.mark.parametrize("gamma", [0.5, 0.9])
def test_a_sampled_distance_nears_the_exact_one(gamma):
    env, tables = small_mdp(), (random_table(0), random_table(1))
    rewards = [tabular_reward(table) for table in tables]
    everything = enumerated_coverage(env)
    drawn = Coverage.sampled(everything.transitions, np.random.default_rng(0), n_canonical=2000)
    exact = epic_distance(*rewards, everything, gamma)
    assert epic_distance(*rewards, drawn, gamma) == pytest.approx(exact, abs=0.02)


def test_a_survival_bonus_counts_where_episodes_end_and_is_free_where_they_do_not():
    box, two = spaces.Box(-np.inf, np.inf, (3,)), spaces.Discrete(2)
    reward = FunctionReward(box, two, lambda s, a, t, d: s[:, 0])
    paid = FunctionReward(box, two, lambda s, a, t, d: s[:, 0] + 5)
    batch = toy_batch(100)
    endless = Coverage.sampled(replace(batch, dones=torch.zeros(100)), np.random.default_rng(0))
    assert epic_distance(reward, paid, endless, 0.9) == pytest.approx(0, abs=1e-3)
    assert epic_distance(reward, paid, Coverage.sampled(batch, np.random.default_rng(0)), 0.9) > 0.1


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_the_unit_of_a_reward_does_not_matter(unit):
    coverage, table = enumerated_coverage(small_mdp()), random_table(0)
    assert epic_distance(tabular_reward(table), tabular_reward(unit * table), coverage, 0.9) == pytest.approx(0, abs=1e-6)
    noise = np.full_like(table, unit) * (1 + 1e-9 * random_table(1))  # a constant, but for rounding
    ending = replace(coverage, transitions=replace(coverage.transitions, dones=torch.zeros(len(coverage.transitions))))
    assert epic_distance(tabular_reward(noise), tabular_reward(np.zeros_like(table)), ending, 0.9) == 0


def test_airls_f_and_g_are_the_same_reward():
    """f is g, shaped by h with the discriminator's γ."""
    discriminator = toy_discriminator("shaped")
    coverage = Coverage.sampled(toy_batch(300), np.random.default_rng(0), n_canonical=32)
    g, f = RewardModel(discriminator, "g"), RewardModel(discriminator, "f")
    assert epic_distance(g, f, coverage, discriminator.discount) < 5e-3
    assert epic_distance(g, f, coverage, 0.3) > 0.05


def test_several_distances_at_once_are_those_of_pairs():
    rewards = {name: tabular_reward(random_table(seed)) for seed, name in enumerate("abc")}
    coverage = enumerated_coverage(small_mdp())
    distances = epic_distances(rewards, coverage, 0.9)
    for a, first in rewards.items():
        for b, second in rewards.items():
            assert distances[a][b] == epic_distance(first, second, coverage, 0.9)


def test_constants_have_distances_and_no_correlation():
    ramp, flat = np.arange(5.0), np.ones(5)
    assert pearson_distance(flat, flat + 1) == 0
    assert pearson_distance(flat, ramp) == pytest.approx(np.sqrt(0.5))
    assert pearson(flat, ramp) is spearman(flat, ramp) is None
    assert pearson(ramp, -2 * ramp) == pytest.approx(-1)
    assert spearman(ramp, np.exp(ramp)) == pytest.approx(1)
    assert pearson(ramp, np.exp(ramp)) < 0.95


def test_a_shaped_nothing_is_nothing():
    zero, bumps = tabular_reward(np.zeros((6, 2))), tabular_reward(shaped(np.zeros((6, 2, 6)), np.arange(6.0), 0.9))
    assert epic_distance(zero, bumps, enumerated_coverage(small_mdp()), 0.9) == 0
    assert starc_distance(zero, bumps, small_mdp(), 0.9) == 0
    half = starc_distance(zero, tabular_reward(random_table(0)), small_mdp(), 0.9)
    assert half == pytest.approx(0.5, rel=1e-12)  # a norm over itself, rounded as the processor's BLAS does


@given(SEEDS)
def test_starc_asks_only_for_what_can_happen(seed):
    """It takes rewards of the same expectation for the same, whatever they pay for impossible transitions."""
    env, table = small_mdp(), random_table(seed)
    impossible = np.where(env.P > 0, table, 100 * random_table(seed + 1))
    reward, other = tabular_reward(table), tabular_reward(impossible)
    assert starc_distance(reward, other, env, 0.9) == pytest.approx(0, abs=1e-6)
    assert epic_distance(reward, other, enumerated_coverage(env), 0.9) > 0.1


@given(SEEDS)
def test_starcs_canonical_reward_is_the_random_policys_advantage(seed):
    """Checked through values found by iterating, where the library solves."""
    env, gamma = small_mdp(), 0.8
    tables = [random_table(seed + i) for i in range(2)]
    advantages = []
    for table in tables:
        R, V = np.where(env.terminal[:, None], 0, (env.P * table).sum(axis=2)), np.zeros(N_STATES)
        for _ in range(200):
            V = np.where(env.terminal, 0, (R + gamma * env.P @ V).mean(axis=1))
        advantage = (R + gamma * env.P @ V - V[:, None])[~env.terminal]
        advantages.append(advantage / np.linalg.norm(advantage))
    by_hand = np.linalg.norm(advantages[0] - advantages[1]) / 2
    assert starc_distance(*map(tabular_reward, tables), env, gamma) == pytest.approx(by_hand, abs=1e-6)


@given(SEEDS, st.floats(0.1, 0.95))
def test_regret_is_nothing_after_shaping_and_everything_after_a_sign(seed, gamma):
    env = small_mdp()
    true = np.repeat(env.R[:, :, None], N_STATES, axis=2)
    same = shaped(2 * true, np.random.default_rng(seed).normal(size=N_STATES), gamma)
    for table, expected in ((true, 0), (same, 0), (-true, 1)):
        assert regret(tabular_reward(table), env, gamma).normalized == pytest.approx(expected, abs=1e-6)
    lost = regret(tabular_reward(random_table(seed)), env, gamma)
    assert lost.worst - 1e-6 <= lost.achieved <= lost.best + 1e-6
    assert 0 <= lost.normalized + 1e-6 <= 1 + 1e-5


def test_tables_of_states_and_of_pairs():
    env = small_mdp()
    R = reward_table(tabular_reward(env.R), env)
    np.testing.assert_allclose(R, env.R)
    by_state = reward_table(tabular_reward(np.arange(6.0), n_actions=2), env)
    np.testing.assert_allclose(by_state, np.repeat(np.where(np.arange(6) == END, 0, np.arange(6.0))[:, None], 2, axis=1))


def test_requests_that_make_no_sense():
    batch, rng = toy_batch(10), np.random.default_rng(0)
    reward = RewardModel(toy_discriminator(), "logit")
    with pytest.raises(ConfigurationError, match="n_canonical=0"):
        Coverage.sampled(batch, rng, n_canonical=0)
    assert len(Coverage.sampled(batch, rng, n_transitions=1, n_canonical=1).transitions) == 1
    with pytest.raises(ConfigurationError, match="gamma: given 1"):
        policy_values(small_mdp(), np.full((6, 2), 0.5), np.zeros((6, 2)), 1.0)
    with pytest.raises(ConfigurationError, match="given 0 transitions"):
        Coverage.sampled(toy_batch(0), rng)
    with pytest.raises(ConfigurationError, match="discount: given 1"):
        epic_distance(reward, reward, Coverage.sampled(batch, rng), 1.0)
    with pytest.raises(ConfigurationError, match="n_actions"):
        tabular_reward(np.zeros(3))
    with pytest.raises(ConfigurationError, match="give a reward of this environment"):
        starc_distance(reward, reward, small_mdp(), 0.9)
    two = FunctionReward(OBSERVATIONS, ACTIONS, lambda s, a, t, d: np.zeros((len(d), 2)))
    with pytest.raises(ValueError, match="one number per transition"):
        rewards_of(two, batch)
