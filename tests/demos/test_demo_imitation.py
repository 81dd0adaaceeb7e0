"""Conversions agree with imitation's own flattening, both ways, and do not repeat its confusion of ends."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from imitation.data import rollout, types

from ganq_irl.errors import IncompatibleSpaces, InvalidDemonstrations
from ganq_irl_demos import Demonstrations, load_demonstrations, to_imitation
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, demonstrations, make_demos, make_trajectory

SPACES = {"observation_space": OBSERVATIONS, "action_space": ACTIONS}


def spaces_of(demos):
    return {"observation_space": demos.observation_space, "action_space": demos.action_space}


def plain(observations):
    return observations.unwrap() if isinstance(observations, types.DictObs) else {"": observations}


def assert_same_observations(ours, theirs):
    ours, theirs = (value if isinstance(value, dict) else plain(value) for value in (ours, theirs))
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(np.asarray(value), theirs[key])


def in_single_precision(demos):
    """Batches hold float32, so that float64 demonstrations are rounded before the comparison."""

    def rounded(value):
        if isinstance(value, dict):
            return {key: rounded(part) for key, part in value.items()}
        return value.astype(np.float32) if value.dtype == np.float64 else value

    changed = (replace(t, observations=rounded(t.observations), actions=rounded(t.actions)) for t in demos)
    return replace(demos, trajectories=tuple(changed))


@settings(max_examples=25, deadline=None)
@given(demos=demonstrations())
def test_our_batch_is_what_imitation_flattens_to(demos):
    demos = in_single_precision(demos)
    batch, flat = demos.to_batch(), rollout.flatten_trajectories(to_imitation(demos))
    assert_same_observations(batch.observations, flat.obs)
    assert_same_observations(batch.next_observations, flat.next_obs)
    np.testing.assert_array_equal(batch.actions.numpy(), flat.acts)
    np.testing.assert_array_equal(batch.dones.numpy(), flat.dones)


@settings(max_examples=25, deadline=None)
@given(demos=demonstrations())
def test_there_and_back_changes_nothing_that_imitation_can_hold(demos):
    back = load_demonstrations(to_imitation(demos), **spaces_of(demos))
    expected = (replace(t, seed=None, rank=None, truncated=not t.terminated) for t in demos)
    assert back.checksum == replace(demos, trajectories=tuple(expected), env_id=None, provenance={}).checksum


def imitation_trajectory(steps=5, seed=0, terminal=True, infos=None):
    ours = make_trajectory(steps, seed)
    return types.TrajectoryWithRew(ours.observations, ours.actions, infos, terminal, ours.rewards)


def test_transitions_are_cut_at_dones_and_where_observations_jump():
    episodes = [imitation_trajectory(5, 0, True), imitation_trajectory(4, 1, False), imitation_trajectory(3, 2, True)]
    flat = rollout.flatten_trajectories_with_rew(episodes)
    demos = load_demonstrations(flat, **SPACES)
    assert [len(trajectory) for trajectory in demos] == [5, 4, 3]
    assert [trajectory.terminated for trajectory in demos] == [True, False, True]
    assert [trajectory.truncated for trajectory in demos] == [False, True, False]
    for ours, theirs in zip(demos, episodes, strict=True):
        np.testing.assert_array_equal(ours.observations, theirs.obs)
        np.testing.assert_array_equal(ours.rewards, theirs.rews)
    batch = demos.to_batch()
    np.testing.assert_array_equal(batch.next_observations.numpy(), flat.next_obs)
    np.testing.assert_array_equal(batch.dones.numpy(), flat.dones)


def test_a_done_cuts_even_where_the_next_episode_starts_at_the_same_place():
    episode = types.Trajectory(np.zeros((4, 3)), np.zeros((3, 1)), None, True)
    demos = load_demonstrations(rollout.flatten_trajectories([episode, episode]), **SPACES)
    assert [len(trajectory) for trajectory in demos] == [3, 3]


def test_shuffled_transitions_lose_nothing():
    flat = rollout.flatten_trajectories([imitation_trajectory(20)])
    order = np.random.default_rng(0).permutation(20)
    shuffled = types.Transitions(
        flat.obs[order], flat.acts[order], flat.infos[order], flat.next_obs[order], flat.dones[order]
    )
    batch = load_demonstrations(shuffled, **SPACES).to_batch()
    np.testing.assert_array_equal(batch.observations.numpy(), shuffled.obs)
    np.testing.assert_array_equal(batch.next_observations.numpy(), shuffled.next_obs)


def test_transitions_of_dict_observations_are_cut_by_every_key():
    space = spaces.Dict({"a": spaces.Box(-9, 9, (1,)), "b": spaces.Box(-9, 9, (2,))})
    still = {"a": np.zeros((4, 1), np.float32)}  # only b tells the two episodes apart
    episodes = [
        types.Trajectory(types.DictObs({**still, "b": np.full((4, 2), value, np.float32)}), np.zeros((3, 1)), None, False)
        for value in (1, 2)
    ]
    demos = load_demonstrations(rollout.flatten_trajectories(episodes), observation_space=space, action_space=ACTIONS)
    assert [len(trajectory) for trajectory in demos] == [3, 3]
    assert demos[1].observations["b"].tolist() == [[2, 2]] * 4


def test_nan_does_not_cut_an_episode_but_is_left_for_the_checks():
    episode = imitation_trajectory()
    observations = episode.obs.copy()
    observations[2] = np.nan
    flat = rollout.flatten_trajectories([replace(episode, obs=observations)])
    (trajectory,) = load_demonstrations(flat, **SPACES)
    np.testing.assert_array_equal(trajectory.observations, observations)


@pytest.mark.parametrize("form", ["trajectories", "transitions"])
def test_a_time_limit_that_imitation_calls_terminal_is_a_truncation(form):
    """imitation marks every finished episode terminal, whatever finished it."""
    limited, ended = ({"TimeLimit.truncated": True},), ({"TimeLimit.truncated": False},)
    episodes = [
        imitation_trajectory(5, seed, infos=np.array([{}] * 4 + list(last))) for seed, last in ((0, limited), (1, ended))
    ]
    source = episodes if form == "trajectories" else rollout.flatten_trajectories(episodes)
    demos = load_demonstrations(source, **SPACES)
    assert [(trajectory.terminated, trajectory.truncated) for trajectory in demos] == [(False, True), (True, False)]


@pytest.mark.parametrize("form", ["trajectories", "transitions"])
def test_without_infos_the_environments_time_limit_tells(form):
    env = gym.make("Pendulum-v1")
    shape = (201, 3)
    episodes = [
        types.Trajectory(np.random.default_rng(i).normal(size=shape), np.zeros((200, 1)), None, True) for i in range(2)
    ]
    source = episodes if form == "trajectories" else rollout.flatten_trajectories(episodes)
    known = load_demonstrations(source, **spaces_of(env), env_id="Pendulum-v1")
    assert known.to_batch().dones.sum() == 0
    unknown = load_demonstrations(source, **spaces_of(env))
    assert unknown.to_batch().dones.sum() == 2


def test_one_trajectory_is_a_sequence_of_one():
    assert len(load_demonstrations(imitation_trajectory(), **SPACES)) == 1
    assert load_demonstrations([imitation_trajectory()], **SPACES, env_id="Test-v0").env_id == "Test-v0"


def test_transitions_without_next_observations_are_pairs_for_those_that_need_no_more():
    flat = rollout.flatten_trajectories([imitation_trajectory()])
    pairs = types.TransitionsMinimal(flat.obs, flat.acts, flat.infos)
    loaded = load_demonstrations(pairs, **SPACES, needs=["actions"])
    assert loaded.missing == ("next_observations",)
    np.testing.assert_array_equal(loaded[0].observations[:-1], flat.obs)
    with pytest.raises(InvalidDemonstrations, match="holds no next observations"):
        load_demonstrations(pairs, **SPACES)


@pytest.mark.parametrize("given", [{}, {"observation_space": OBSERVATIONS}, {"action_space": ACTIONS}])
def test_imitations_objects_need_spaces(given):
    with pytest.raises(IncompatibleSpaces, match=r"pass the environment's: .*env\.observation_space"):
        load_demonstrations([imitation_trajectory()], **given)


def test_conversion_to_imitation_keeps_what_it_has_a_place_for():
    rewarded, integers = make_trajectory(4, 0, terminated=True), make_trajectory(3, 1, rewards=np.array([1, 2, 3]))
    bare = make_trajectory(2, 2, rewards=None)
    first, second, third = to_imitation(make_demos(rewarded, integers, bare))
    assert (type(first), type(third)) == (types.TrajectoryWithRew, types.Trajectory)
    assert (first.terminal, second.terminal) == (True, False)
    assert second.rews.dtype == np.float64
    np.testing.assert_array_equal(first.obs, rewarded.observations)


def test_a_trajectory_without_transitions_cannot_be_given_to_imitation():
    with pytest.raises(InvalidDemonstrations, match="trajectory 1 has no transitions"):
        to_imitation(make_demos(make_trajectory(2), make_trajectory(0)))


def test_our_own_trajectories_are_accepted_with_spaces():
    demos = load_demonstrations([make_trajectory(), make_trajectory(4, 1)], **SPACES)
    assert isinstance(demos, Demonstrations)
    assert [trajectory.seed for trajectory in demos] == [0, 1]
