"""Ends of episodes: how much of them is counted, and what they are worth."""

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.algorithms import GAIL
from ganq_irl.algorithms.ends import absorbed_share, log_ratios
from ganq_irl.episodes import MAX_EPISODE_STEPS
from tests.algorithms.absorbing_examples import counting, dac
from tests.scripted import CountingEnv, demonstrations, flat, generator, imitator, vec_env

shares = st.floats(0, 0.999)


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=20), st.integers(50, 80))
def test_the_share_is_that_of_episodes_written_out_to_the_horizon(episodes, horizon):
    lengths, terminated = (np.array(column) for column in zip(*episodes, strict=True))
    steps = [state for length, ends in episodes for state in [0] * length + [1] * ((horizon - length) if ends else 0)]
    assert absorbed_share(lengths, terminated, horizon) == pytest.approx(np.mean(steps))


@given(shares, shares, st.floats(1e-6, 0.1))
def test_log_ratios_are_those_of_two_distributions_over_two_states(real, fake, resolution):
    alive, absorbed = log_ratios(real, fake, resolution)
    # p_E / p_π of either state, averaged under p_π, is 1
    p = (fake + resolution) / (1 + 2 * resolution)
    assert (1 - p) * math.exp(alive) + p * math.exp(absorbed) == pytest.approx(1)
    assert (alive > 0) == (absorbed < 0) or alive == pytest.approx(0)


@given(shares, st.floats(1e-6, 0.1))
def test_equal_shares_are_worth_nothing(share, resolution):
    assert log_ratios(share, share, resolution) == (0, 0)


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn"])
def test_the_policys_share_is_counted_over_all_environments(name):
    """Episodes of three steps that terminate and four that a time limit cuts, by turns."""
    run = imitator("gail", counting(name, n_envs=2), demonstrations(CountingEnv(action_space=counting(name).action_space)))
    run.ends.memory = 1.0
    run.learn(70)
    share = (MAX_EPISODE_STEPS - 3) / (MAX_EPISODE_STEPS + 4)
    assert run.ends._absorbed / (run.ends._absorbed + run.ends._alive) == pytest.approx(share, rel=0.01)
    assert run.ends.alive == pytest.approx(0, abs=0.2)
    assert run.ends.reward == pytest.approx(0, abs=0.01)


def test_the_time_limit_is_the_horizon_or_what_bounds_episodes_without_one():
    env = vec_env(lambda: gym.make("Acrobot-v1"), 1)
    assert imitator("gail", generator("ppo", env), "acrobot").ends.horizon == 500
    assert imitator("gail", generator("ppo")).ends.horizon == MAX_EPISODE_STEPS


@pytest.mark.parametrize(("expert", "policy", "sign"), [((9, False), (3, True), -1), ((3, True), (9, False), 1)])
def test_an_end_costs_where_the_expert_stays_and_pays_where_the_expert_ends(expert, policy, sign):
    shown = demonstrations(CountingEnv(script=(expert,)))
    run = imitator("gail", generator("ppo", vec_env(CountingEnv, 2, script=(policy,))), shown).learn(128)
    rows = run._demonstrations
    ended = run.price(rows_with(rows, 1.0)) - run.price(rows_with(rows, 0.0))
    assert (torch.sign(ended) == sign).all()
    assert np.sign(run.ends.alive) == -sign
    beyond = min(1 / (1 - run.generator.gamma), run.ends.horizon)
    expected = torch.full_like(ended, run.generator.gamma * run.ends.reward * beyond)
    torch.testing.assert_close(ended, expected, atol=1e-3, rtol=1e-4)


def rows_with(rows, done):
    return replace(rows, dones=torch.full_like(rows.dones, done))


@pytest.mark.parametrize("form", ["logit", "gail", "log-d", "fairl"])
def test_every_form_pays_the_absorbing_state_by_its_own_transform(form):
    shown = demonstrations(CountingEnv(script=((9, False),)))
    run = imitator("gail", generator("ppo", vec_env(CountingEnv, 2, script=((3, True),))), shown, reward=form).learn(64)
    absorbed = log_ratios(0.0, run.ends._absorbed / (run.ends._absorbed + run.ends._alive), run.ends._resolution)[1]
    assert run.ends.reward == pytest.approx(run.reward_form.of(absorbed), rel=0.05)
    assert run.reward_form.of(0.5) == pytest.approx(float(run.reward_form.of_log_ratio(torch.tensor(0.5))))


def test_without_ends_nothing_changes():
    """Where no episode terminates, the numbers are those of ``absorbing=False`` bit for bit."""
    policies = []
    for absorbing in (True, False):
        env = vec_env(CountingEnv, 2, script=((4, False),))
        run = imitator("gail", generator("ppo", env), demonstrations(CountingEnv(script=((4, False),))), absorbing=absorbing)
        policies.append(flat(run.learn(128).policy))
    assert torch.equal(*policies)


def test_a_critics_score_has_no_scale_to_count_in():
    assert imitator("wail", generator("ppo")).ends is None
    assert imitator("gail", generator("ppo"), absorbing=False).ends is None
    assert dac(learns_absorbing=True).ends is None


def test_dac_follows_the_counted_reward_with_its_targets():
    run = dac().learn(90)
    assert run.ends is not None
    n_moves = run.absorbing._counted - run.absorbing._n_pending
    assert n_moves > 0
    assert run.absorbing.value == 0 or np.sign(run.absorbing.value) == np.sign(run.ends.reward)
    rows = run._demonstrations
    ended = run.price(rows_with(rows, 1.0)) - run.price(rows_with(rows, 0.0))
    torch.testing.assert_close(
        ended, torch.full_like(ended, run.generator.gamma * run.absorbing.value), atol=1e-5, rtol=1e-5
    )


def test_saved_counts_go_on(tmp_path):
    shown = demonstrations(CountingEnv(script=((9, False),)))

    def fresh():
        return generator("ppo", vec_env(CountingEnv, 2, script=((3, True),)))

    run = imitator("gail", fresh(), shown).learn(128)
    run.save(tmp_path / "run")
    loaded = GAIL.load(tmp_path / "run", fresh(), shown, batch_size=16, hidden_sizes=(8,), n_updates=2)
    assert loaded.ends.state_dict() == run.ends.state_dict()


@pytest.mark.once
def test_a_policy_stays_alive_where_a_plain_logit_makes_it_fall():
    """A pole that falls at once earns the most from a negative reward, unless its end is counted."""
    lengths = {}
    for absorbing in (True, False):
        options = {"n_steps": 64, "batch_size": 64, "n_epochs": 4, "learning_rate": 1e-2}
        model = generator("fast-ppo", vec_env(Balance, 4), **options)
        run = imitator("gail", model, demonstrations(Balance(steady=True), 4), absorbing=absorbing, n_updates=10).learn(
            4_000
        )
        lengths[absorbing] = np.mean([episode["l"] for episode in run.generator.ep_info_buffer])
    assert lengths[True] > 2 * lengths[False]


class Balance(CountingEnv):
    """The episode ends as soon as the state leaves [-1, 1]; the expert's states are much closer to 0 than any others."""

    def __init__(self, steady=False, limit=60):
        super().__init__(action_space=spaces.Box(-1.0, 1.0, (1,), np.float32))
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.steady, self.limit = steady, limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0.01 * self.np_random.uniform(-1, 1)
        return np.array([self.x], np.float32), {}

    def step(self, action):
        self.step_count += 1
        push = -self.x if self.steady else 0.3 * float(action[0])
        self.x = (0.0 if self.steady else self.x) + (0.001 * self.np_random.normal() if self.steady else push)
        return np.array([self.x], np.float32), 1.0, abs(self.x) > 1, self.step_count >= self.limit, {}
