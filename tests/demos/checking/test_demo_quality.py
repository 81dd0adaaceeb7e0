"""What is worth a look: each rule fires on what it is about, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import ganq_irl.environments
from ganq_irl_demos import examine_demonstrations, load_demonstrations, random_policy, record_episodes
from ganq_irl_demos.catalog import catalog
from ganq_irl_demos.checking.replays import not_replayed
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, SwingUp, edited, make_demos, make_trajectory


def rules(demos, **options):
    return {finding.rule for finding in examine_demonstrations(demos, **options)}


def many(change=lambda one: one, count=6, steps=40):
    return make_demos(*(change(make_trajectory(steps, index)) for index in range(count)))


def test_sound_demonstrations_have_no_findings():
    assert rules(many()) == set()


def test_a_glitch_is_far_out_with_its_place():
    demos = many()
    glitch = edited(demos[3].observations, (7, 1), 80.0)
    trajectories = (*demos[:3].trajectories, replace(demos[3], observations=glitch), *demos[4:].trajectories)
    space = spaces.Box(-100, 100, (3,))
    (finding,) = examine_demonstrations(replace(demos, trajectories=trajectories, observation_space=space))
    assert (finding.rule, finding.trajectory, finding.step, finding.severity) == ("far-out", 3, 7, "warning")


def test_scales():
    scaled = many(lambda one: replace(one, observations=one.observations * np.array([1, 1e-4, 9], np.float32)))
    assert rules(scaled) == {"scale"}


@pytest.mark.parametrize(("share", "expected"), [(0.4, set()), (0.7, {"saturation"})])
def test_saturated_actions(share, expected):
    def saturate(one):
        chosen = np.random.default_rng(one.seed).random(one.actions.shape) < share
        return replace(one, actions=np.where(chosen, np.float32(2), one.actions))

    assert rules(many(saturate)) == expected


def test_discrete_actions_do_not_saturate():
    demos = many(lambda one: replace(one, actions=np.arange(len(one)) % 2))
    assert rules(replace(demos, action_space=spaces.Discrete(2))) == set()


def test_horizons_that_differ():
    demos = make_demos(*(make_trajectory(40 if index != 2 else 30, index) for index in range(5)))
    (finding,) = examine_demonstrations(demos)
    assert (finding.rule, finding.trajectory, finding.step) == ("horizon-mix", 2, 30)


def test_terminations_that_look_like_a_time_limit():
    lengths = [12, 40, 40, 25, 40]
    ended = make_demos(*(make_trajectory(n, i, terminated=True, truncated=False) for i, n in enumerate(lengths)))
    (finding,) = examine_demonstrations(ended)
    assert (finding.rule, finding.trajectory, finding.step) == ("time-limit", 1, 39)
    apart = make_demos(*(make_trajectory(12 + i, i, terminated=True, truncated=False) for i in range(5)))
    assert rules(apart) == set()


@pytest.fixture
def pendulum():
    return gym.make("Pendulum-v1")


def test_returns_against_random_and_expert(pendulum):
    good = record_episodes(SwingUp(), pendulum, 6, seed=0)
    bad = record_episodes(random_policy(pendulum.action_space, np.random.default_rng(0)), pendulum, 3, seed=9)
    assert not rules(good) & {"poor", "mixed-quality", "too-good"}
    assert "poor" in rules(bad)
    mixed = replace(good, trajectories=[*good, bad[0]])
    (finding,) = [finding for finding in examine_demonstrations(mixed) if finding.rule == "mixed-quality"]
    assert finding.trajectory == 6
    sums = replace(good, trajectories=tuple(replace(one, rewards=np.zeros(len(one)) + 20) for one in good))
    assert "too-good" in rules(sums)


def test_a_replay_finds_what_is_of_another_environment(pendulum):
    recorded = record_episodes(SwingUp(), pendulum, 4, seed=0)
    assert "replay" not in rules(recorded, env=pendulum)
    altered = edited(recorded[1].observations, (50, 0), 0.123)
    other = replace(
        recorded, trajectories=(recorded[0], replace(recorded[1], observations=altered), *recorded[2:].trajectories)
    )
    (finding,) = [f for f in examine_demonstrations(other, env=pendulum) if f.rule == "replay"]
    assert (finding.trajectory, finding.step, finding.field) == (1, 50, "observations")
    assert "replay" not in rules(other, env=pendulum, replayed=1)
    paid = replace(recorded[0], rewards=recorded[0].rewards + 1)
    (finding,) = [
        f for f in examine_demonstrations(replace(recorded, trajectories=(paid,)), env=pendulum) if f.rule == "replay"
    ]
    assert (finding.step, finding.field) == (0, "rewards")
    shifted = replace(recorded, trajectories=tuple(replace(one, seed=one.seed + 1) for one in recorded))
    assert [f.step for f in examine_demonstrations(shifted, env=pendulum) if f.rule == "replay"] == [0, 0, 0]
    unseeded = replace(recorded, trajectories=tuple(replace(one, seed=None) for one in recorded))
    assert "no-seeds" in rules(unseeded, env=pendulum)


@pytest.mark.parametrize(("shift", "advice"), [(1, "so actions are shifted"), (-1, "actions shifted by a step, or")])
def test_a_replay_finds_actions_shifted_by_a_step(pendulum, shift, advice):
    recorded = record_episodes(random_policy(pendulum.action_space, np.random.default_rng(0)), pendulum, 2, seed=0)
    shifted = tuple(replace(one, actions=np.roll(one.actions, shift, axis=0)) for one in recorded)
    demos = replace(recorded, trajectories=shifted)
    found = [f for f in examine_demonstrations(demos, env=pendulum) if f.rule == "replay"]
    assert [f.trajectory for f in found] == [0, 1]
    assert all(advice in f.message for f in found)


def test_what_was_not_replayed_is_said(pendulum):
    recorded = record_episodes(random_policy(pendulum.action_space, np.random.default_rng(0)), pendulum, 1, seed=0)
    assert not_replayed(recorded, pendulum, 3) is None
    assert "unknown (name it with --env ID); actions shifted by a step were not" in not_replayed(recorded, None, 3)
    assert "zero were requested" in not_replayed(recorded, pendulum, 0)
    unordered = replace(recorded, missing=("next_observations",))
    assert "there are no next observations" in not_replayed(unordered, pendulum, 3)
    unseeded = replace(recorded, trajectories=(replace(recorded[0], seed=None),))
    (finding,) = [f for f in examine_demonstrations(unseeded, env=pendulum) if f.rule == "no-seeds"]
    assert "whether actions are shifted by a step, was not checked" in finding.message


def test_a_replay_notices_an_earlier_end():
    env = gym.make("CartPole-v1")
    recorded = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 1, seed=0)
    one = recorded[0]
    longer = replace(
        one,
        observations=np.concatenate([one.observations, one.observations[-1:]]),
        actions=np.append(one.actions, 0),
        rewards=np.append(one.rewards, 1.0),
    )
    (finding,) = [
        f for f in examine_demonstrations(replace(recorded, trajectories=(longer,)), env=env) if f.rule == "replay"
    ]
    assert (finding.step, finding.field) == (len(one), "lengths")


@pytest.mark.parametrize("name", ["pendulum", "cartpole", "mountaincar", "acrobot"])
def test_shipped_demonstrations_replay(name):
    ganq_irl.environments.register_envs()
    entry = catalog()[name]
    found = rules(load_demonstrations(name), env=gym.make(entry.env_id))
    assert not found & {"replay", "no-seeds", "poor", "too-good", "far-out", "horizon-mix", "time-limit"}


@pytest.mark.parametrize("lacking", ["actions", "next_observations"])
def test_sets_that_lack_something_are_examined_in_the_rest(lacking):
    actions = {"actions": np.zeros((5, 0), np.float32)} if lacking == "actions" else {}
    demos = make_demos(make_trajectory(**actions), missing=(lacking,))
    env = type("Env", (gym.Env,), {"observation_space": OBSERVATIONS, "action_space": ACTIONS})()
    assert rules(demos, env=env) == set()
