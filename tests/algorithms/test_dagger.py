"""DAgger: what the expert is asked, what is cloned, and what a person at the keyboard does."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import DAgger
from ganq_irl.errors import ConfigurationError, UnsupportedGenerator
from ganq_irl.generators.policies.experts import Person, build_expert
from ganq_irl.generators.policies.store import save_policy
from tests.scripted import BOX, WalkEnv, demonstrations, flat, generator, homeward, vec_env, walk

DISCRETE = spaces.Discrete(3)


def dagger(name="ppo", n_steps=128, **options):
    return DAgger(generator(name), demonstrations(WalkEnv(BOX)), **{"expert": homeward, "n_updates": 20, **options}).learn(
        n_steps
    )


def test_the_expert_labels_every_observation_that_the_policy_visits():
    asked = []

    def expert(observations):
        asked.append(np.array(observations))
        return homeward(observations)

    run = dagger(expert=expert)
    visited, shown = np.concatenate(asked), len(demonstrations(WalkEnv(BOX)).to_batch())
    assert run.n_labels == len(visited) == run.generator.num_timesteps
    learned_from = run._cloning.demonstrations
    assert len(learned_from) == shown + len(visited)
    np.testing.assert_array_equal(learned_from.observations[shown:].numpy(), visited)
    np.testing.assert_array_equal(learned_from.actions[shown:].numpy(), homeward(visited))


@pytest.mark.parametrize("n_labels", [1, 50, 128])
def test_a_number_of_labels_is_asked_for_all_over_the_run(n_labels):
    run = dagger(n_labels=n_labels)
    assert run.n_labels == n_labels
    assert run.generator.num_timesteps == 128


def test_the_policy_comes_to_act_like_the_expert_although_the_demonstrations_are_random():
    far = np.array([[2.5, 0.0], [-2.5, 0.0]], dtype=np.float32)
    clone, corrected = (dagger(n_steps=320, n_updates=60, n_labels=n).predict(far, deterministic=True)[0] for n in (1, 320))
    assert (corrected * homeward(far) > 0.5).all()
    assert (clone * homeward(far) < 0.5).any()


def test_observations_are_labelled_as_the_environment_gives_them():
    asked = []

    def expert(observations):
        asked.append(np.array(observations))
        return homeward(observations)

    env = VecNormalize(walk("ppo"), norm_reward=False)
    DAgger(generator("ppo", env=env), demonstrations(WalkEnv(BOX)), expert=expert, n_updates=2).learn(64)
    assert np.abs(np.concatenate(asked)[:, 0]).max() <= 4  # x ends an episode beyond 3; normalized it may be anywhere
    assert set(np.sign(np.concatenate(asked)[:, 0])) == {-1.0, 1.0}


def test_a_run_is_repeated_and_goes_on_bit_by_bit_from_its_folder(tmp_path):
    def same(*runs):
        return all(torch.equal(flat(runs[0].policy), flat(run.policy)) for run in runs)

    first, second = dagger(n_labels=50), dagger(n_labels=50)
    assert same(first, second)
    first.save(tmp_path / "run")
    options = {"expert": homeward, "n_updates": 20, "n_labels": 50}
    loaded = DAgger.load(tmp_path / "run", generator("ppo", seed=9), demonstrations(WalkEnv(BOX)), **options)
    assert same(first, loaded)
    assert (loaded.n_labels, len(loaded._cloning.demonstrations)) == (50, len(first._cloning.demonstrations))
    left, again = (run._cloning.state_dict()["sampler"]["left"] for run in (first, loaded))
    assert torch.equal(left, again)
    assert not same(first, dagger(n_labels=50, seed=1))


def test_a_runs_policy_is_an_expert(tmp_path):
    expert = generator("ppo", seed=5)
    save_policy(expert, tmp_path / "policy")
    rows = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    given = build_expert(str(tmp_path), BOX).correct(rows, np.zeros((4, 1), np.float32))
    np.testing.assert_array_equal(given, expert.predict(rows, deterministic=True)[0])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda rows: np.zeros(len(rows)), "of shape"),
        (lambda rows: np.full((len(rows), 1), "left"), "expected float32"),
        (lambda rows: np.full((len(rows), 1), np.nan), "not in Box"),
    ],
)
def test_what_is_no_action_is_refused(answer, message):
    with pytest.raises(ConfigurationError, match=message):
        dagger(expert=answer)


def test_an_expert_and_a_policy_with_a_likelihood_are_needed():
    with pytest.raises(ConfigurationError, match="--expert"):
        dagger(expert=None)
    with pytest.raises(UnsupportedGenerator, match="use ppo"):
        dagger("sac")
    with pytest.raises(ConfigurationError, match="Discrete actions"):
        dagger(expert="person")


def at_keyboard(keys):
    """A person who presses these keys, and the screens that were shown."""
    left, screens = list(keys), []
    return Person(DISCRETE, read_key=lambda: left.pop(0) if left else "", show=screens.append), screens


def test_a_person_takes_over_and_hands_back():
    person, screens = at_keyboard([" ", "2", "x", "right", "g"])
    rows, wanted = np.zeros((1, 2), np.float32), np.array([1])
    assert [person.correct(rows, wanted)[0] for _ in range(3)] == [None, 2, 2]
    assert "'x' has no action" in screens[3]
    assert "the policy's action: 1" in screens[0]
    assert [person.correct(rows, wanted)[0] for _ in range(25)] == [None] * 25
    assert not person.has_left
    assert person.correct(rows, wanted) == [None]
    assert person.has_left
    with pytest.raises(ConfigurationError, match="n_envs=1"):
        DAgger(
            generator("ppo", env=vec_env(WalkEnv, 2, action_space=DISCRETE)),
            demonstrations(WalkEnv(DISCRETE)),
            expert=person,
        )


def test_only_what_a_person_did_is_executed_and_learned():
    executed = []

    class Watched(WalkEnv):
        def step(self, action):
            executed.append(int(action))
            return super().step(action)

    env = vec_env(Watched, 1, action_space=DISCRETE)
    person, _ = at_keyboard(["2", " ", "0", "q"])
    run = DAgger(generator("ppo", env=env), demonstrations(WalkEnv(DISCRETE)), expert=person, n_updates=2)
    shown = len(run._cloning.demonstrations)
    run.learn(1000)
    assert (executed[0], executed[2]) == (2, 0)
    assert run.generator.num_timesteps == 4  # the step at which the person left is the last
    assert run.n_labels == 2
    assert run._cloning.demonstrations.actions[shown:].tolist() == [2, 0]


def test_a_person_is_asked_no_more_once_all_labels_are_given():
    person, screens = at_keyboard(["2", " ", "0"])
    env = vec_env(WalkEnv, 1, action_space=DISCRETE)
    run = DAgger(generator("ppo", env=env), demonstrations(WalkEnv(DISCRETE)), expert=person, n_updates=2, n_labels=2)
    run.learn(64)
    assert (run.n_labels, len(screens), person.has_left) == (2, 3, False)
    assert run.generator.num_timesteps == 64


def test_a_person_needs_a_terminal():
    env = vec_env(WalkEnv, 1, action_space=DISCRETE)
    with pytest.raises(ConfigurationError, match="not a terminal"):
        DAgger(generator("ppo", env=env), demonstrations(WalkEnv(DISCRETE)), expert="person").learn(64)
