"""Discriminator-actor-critic: its defaults, its inputs and its pace."""

import inspect
import itertools
from dataclasses import replace

import gymnasium as gym
import pytest
import torch
from stable_baselines3.common.logger import Logger

from ganq_irl.algorithms import DAC
from ganq_irl.algorithms.settings import updates_due
from ganq_irl.discriminator import STATE, STATE_TRANSITION
from ganq_irl.errors import ConfigurationError, UnsupportedGenerator
from ganq_irl.generators.factory import build_generator
from ganq_irl.types import Batch
from ganq_irl_demos import load_demonstrations
from tests.algorithms.absorbing_examples import counting, dac
from tests.scripted import CountingEnv, demonstrations, generator


def test_the_defaults_are_those_that_learned_pendulum_from_one_demonstration():
    given = {key: parameter.default for key, parameter in inspect.signature(DAC).parameters.items()}
    assert (given["reward"], given["loss"], given["n_updates"], given["learning_rate"]) == ("logit", "bce", 1, 1e-3)
    assert given["batch_size"] == 64
    (stabilizer,) = DAC(counting("sac"), demonstrations(CountingEnv()), batch_size=16).learner.stabilizers
    assert stabilizer.settings() == {"name": "r1", "weight": 10.0}


def test_absorbing_states_may_be_fakes_alone_so_that_not_only_demonstrations_are_penalized():
    """In Hopper, R1 left them some -20 a step and the policy falling."""
    names = [stabilizer.name for stabilizer in dac(learns_absorbing=True).learner.stabilizers]
    assert names == ["gradient-penalty"]
    assert not dac(learns_absorbing=True, stabilizers=()).learner.stabilizers


def test_the_reward_is_the_discriminators_logit():
    run = dac()
    rows = run._demonstrations
    network = run.learner.discriminator.network
    features = torch.cat([rows.observations, rows.actions], dim=1)
    features = (features - features.mean(dim=0)) / torch.where(
        features.std(dim=0, correction=0) > 1e-6, features.std(dim=0, correction=0), torch.ones(4)
    )
    torch.testing.assert_close(run.price(rows), network(features))


def test_an_on_policy_generator_is_refused_before_anything_is_loaded():
    with pytest.raises(UnsupportedGenerator, match=r"ppo has none; use sac, td3, .* as its generator, or gail with ppo"):
        DAC(generator("ppo"), "no such demonstrations")


@pytest.mark.parametrize("inputs", [("observations",), STATE_TRANSITION])
def test_it_learns_from_observations_alone(inputs):
    run = dac(inputs=inputs).learn(80)
    rows = run._demonstrations
    other = Batch(rows.observations, torch.zeros_like(rows.actions), rows.next_observations, rows.dones)
    assert torch.equal(run.price(rows), run.price(other))
    assert run.price(rows).std() > 0


@pytest.mark.parametrize(("stabilizers", "told_apart"), [(["r1"], False), (["r1", "space-range"], True)])
def test_swings_are_told_apart_where_the_demonstration_only_stands(stabilizers, told_apart):
    """One of Pendulum's shipped demonstrations begins upright: ten of its deviations are 1.3 of the 8 radians a second."""
    shipped = load_demonstrations("pendulum")
    upright = replace(shipped, trajectories=shipped.trajectories[14:15])
    run = DAC(build_generator("sac", gym.make("Pendulum-v1")), upright, inputs=STATE, stabilizers=stabilizers)
    speeds = torch.linspace(2.0, 8.0, 50)  # through the lowest point
    states = torch.stack([-torch.ones(50), torch.zeros(50), speeds], dim=1)
    nothing = torch.zeros(50)
    rewards = run.price(Batch(states, nothing.unsqueeze(1), states, nothing))
    assert (rewards.std() > 1e-3) == told_apart


# The pace of the discriminator.


@pytest.mark.parametrize(
    ("n_updates", "expected"),
    [(1, [1] * 6), (3, [3] * 6), (1.5, [1, 2] * 3), (0.5, [0, 1, 0, 1, 0, 1]), (0.25, [0, 0, 0, 1, 0, 0])],
)
def test_updates_fall_due_evenly(n_updates, expected):
    assert [updates_due(n_updates, n_rounds) for n_rounds in range(6)] == expected


def test_one_update_every_second_step_of_the_generator():
    model = counting("sac", train_freq=1)
    run = dac(model=model, n_updates=0.5).learn(60)
    assert model._n_updates == 20
    assert run.learner.n_updates == 10


def test_a_loaded_run_keeps_the_rhythm(tmp_path):
    run = dac(n_updates=0.5).learn(46)  # rounds of two steps from 40 on: three, of which the third has no update
    assert (run._n_rounds, run.learner.n_updates) == (3, 1)
    run.save(tmp_path / "run")
    loaded = DAC.load(
        tmp_path / "run",
        counting("sac"),
        demonstrations(CountingEnv()),
        batch_size=16,
        hidden_sizes=(8,),
        n_updates=0.5,
    )
    rows = run._demonstrations
    loaded.generator.set_logger(Logger(None, []))
    loaded.train(itertools.repeat(rows[torch.arange(16) % len(rows)]), 1.0)
    assert loaded.learner.n_updates == 2


def test_a_whole_pace_may_be_written_as_a_float():
    assert dac(n_updates=1.0).learn(60).learner.n_updates == dac(n_updates=1).learn(60).learner.n_updates > 0


@pytest.mark.parametrize("n_updates", [0, 0.0, -0.5, "2", True])
def test_other_paces_are_refused(n_updates):
    with pytest.raises(ConfigurationError, match="n_updates: given"):
        dac(n_updates=n_updates)
