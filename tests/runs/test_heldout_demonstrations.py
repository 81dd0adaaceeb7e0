"""Demonstrations that a run keeps from training: how they are drawn, and where the distance from them is reported."""

import csv
import dataclasses
import json

import gymnasium as gym
import numpy as np
import pytest

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation import evaluate_returns, heldout_distance
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.runs import load_run, resolve_config, run_experiment
from ganq_irl.runs.heldout import heldout_of, split_demonstrations
from ganq_irl_demos import Demonstrations, load_demonstrations, save_demonstrations
from tests.command_line import call
from tests.resume_examples import tiny_config

CLONE = {"algo": "bc", "env": "CartPole-v1", "demos": "cartpole", "device": "cpu", "bc": {"n_updates": 20}}


def clone(**settings):
    return resolve_config({**CLONE, "evaluation": {"episodes": 3}, **settings})


def contents(demonstrations):
    return [trajectory.observations.tobytes() for trajectory in demonstrations]


@pytest.mark.parametrize("settings", [{"n_trajectories": 4}, {"heldout": 0.2}, {"heldout": 0.2, "n_trajectories": 4}])
def test_training_and_heldout_demonstrations_are_disjoint(settings):
    everything = load_demonstrations("cartpole")
    chosen, heldout = split_demonstrations(clone(seed=3, **settings))
    n = settings.get("n_trajectories", 16)
    assert contents(chosen) == contents(everything.select(n, np.random.default_rng(3)))
    assert sorted(contents(chosen) + contents(heldout.demonstrations)) == sorted(contents(everything))


@pytest.mark.parametrize("settings", [{}, {"n_trajectories": 20}, {"n_trajectories": 19}])
def test_without_two_left_out_there_is_no_distance(settings):
    chosen, heldout = split_demonstrations(clone(**settings))
    assert (len(chosen), heldout) == (settings.get("n_trajectories", 20), None)


def test_at_least_two_demonstrations_are_kept():
    assert len(split_demonstrations(clone(heldout=0.01))[1].demonstrations) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heldout": 0.5, "n_trajectories": 11}, "heldout=0.5 keeps 10 of the 20 trajectories.*11 are needed"),
        ({"heldout": 0.99}, "keeps 20 of the 20 trajectories"),
    ],
)
def test_too_few_to_learn_from_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        split_demonstrations(clone(**settings))


def test_the_algorithms_own_inputs_are_compared():
    settings = {"env": "CartPole-v1", "demos": "cartpole", "n_trajectories": 4, "device": "cpu"}
    config = resolve_config({**settings, "algo": "gaifo"})
    assert split_demonstrations(config)[1].inputs == ("observations", "next_observations")


@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_reports_the_distance_of_the_episodes_it_played(tmp_path):
    config = clone(n_trajectories=4)
    result = run_experiment(config, tmp_path / "run", progress_bar=False)
    heldout = split_demonstrations(config)[1].demonstrations
    policy = load_run(tmp_path / "run").policy("cpu")
    played = evaluate_returns(policy, "CartPole-v1", 3, seed=10_000, records=True).trajectories
    expected = heldout_distance(heldout, dataclasses.replace(heldout, trajectories=played))
    assert result.evaluation.heldout_distance == expected.distance
    assert result.evaluation.heldout_interval == expected.interval
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["heldout_distance"] == expected.distance

    told = json.loads(call("evaluate", str(tmp_path / "run"), "--json").stdout)
    assert told["heldout_distance"] == expected.distance
    assert told["heldout_interval"] == list(expected.interval)
    assert f"held-out demonstrations {expected.distance:.3f}" in call("evaluate", str(tmp_path / "run")).output


def test_an_evaluation_works_without_the_file_and_says_so(tmp_path, caplog):
    file = save_demonstrations(load_demonstrations("cartpole")[:6], tmp_path / "own.npz")
    config = clone(demos=str(file), n_trajectories=2)
    assert len(heldout_of(config).demonstrations) == 4
    file.unlink()
    assert heldout_of(config) is None
    assert "no held-out distance" in caplog.text


def test_an_evaluation_fetches_nothing(monkeypatch):
    monkeypatch.setattr("ganq_irl.runs.heldout.split_demonstrations", lambda config: pytest.fail("loaded"))
    assert heldout_of(dataclasses.replace(clone(n_trajectories=2), demos="huggingface:someone/else")) is None


@pytest.mark.filterwarnings("ignore")
def test_the_best_policy_may_be_the_closest(tmp_path):
    evaluation = {"episodes": 3, "every": 40, "keep_best": "heldout"}
    config = tiny_config(
        "gail", "fast-ppo", {"Pendulum-v1": "pendulum"}, n_trajectories=2, evaluation=evaluation, timesteps=200
    )
    run_experiment(config, tmp_path / "run", progress_bar=False)
    with open(tmp_path / "run/progress.csv") as file:
        rows = [row for row in csv.DictReader(file) if row.get("imitation/heldout_distance")]
    low, distances, high = (
        np.array([float(row[f"imitation/heldout_{name}"]) for row in rows]) for name in ("low", "distance", "high")
    )
    assert len(set(distances)) > 1
    assert ((low <= distances) & (distances <= high)).all()
    best = load_policy(tmp_path / "run/policy_best", "cpu")
    played = evaluate_returns(best, config.env, 3, seed=10_000, env_kwargs=config.env_kwargs, records=True).trajectories
    assert split_demonstrations(config)[1].distance(played).distance == pytest.approx(min(distances), abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heldout": 1.0}, "expected a share"),
        ({"evaluation": {"episodes": 3, "every": 40, "keep_best": "heldout"}, "algo": "ppo", "demos": None}, "no use for"),
        ({"evaluation": {"episodes": 1, "every": 40, "keep_best": "heldout"}, "algo": "gail"}, "at least 2"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        resolve_config({"algo": "gail", "env": "CartPole-v1", "demos": "cartpole", "device": "cpu", **settings})


def test_choosing_by_the_distance_needs_demonstrations_for_it():
    settings = {"algo": "gail", "env": "CartPole-v1", "demos": "cartpole", "device": "cpu"}
    config = resolve_config({**settings, "evaluation": {"every": 40, "keep_best": "heldout"}})
    with pytest.raises(ConfigurationError, match="kept from training; set heldout"):
        split_demonstrations(config)


def test_recorded_episodes_are_what_the_environment_saw():
    class Right:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.ones(len(observation), np.int64), state

    played = evaluate_returns(Right(), "CartPole-v1", 3, seed=5, n_envs=2, records=True)
    env = gym.make("CartPole-v1")
    for index, trajectory in enumerate(played.trajectories):
        seen, terminated = [env.reset(seed=5 + index)[0]], False
        while not terminated:
            observation, _, terminated, _, _ = env.step(1)
            seen.append(observation)
        np.testing.assert_array_equal(trajectory.observations, seen)
        assert (len(trajectory), trajectory.terminated) == (played.lengths[index], True)
    assert isinstance(Demonstrations(played.trajectories, env.observation_space, env.action_space), Demonstrations)
    assert evaluate_returns(Right(), "CartPole-v1", 2, seed=5).trajectories == ()
