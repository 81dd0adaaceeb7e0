import json
import shutil

import numpy as np
import pytest

from ganq_irl.environments import CHANGED_PENDULUM, POINT_MAZE, SHIFTED_POINT_MAZE
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, RunDirectoryError
from ganq_irl.evaluation import EpisodeStatistics, evaluate_returns, random_returns
from ganq_irl.runs import load_presets, load_run, resolve_config, run_experiment
from ganq_irl.runs.rewards import read_reward
from ganq_irl.studies.reward_transfer import MOVED, RANDOM, RECOVERED, TRUE, normalized, transfer_configs, transfer_reward

KWARGS = {"n_steps": 128, "batch_size": 128, "n_epochs": 2, "gamma": 0.9}
EPISODES = 5


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """AIRL, state-only, for a moment on Pendulum."""
    config = resolve_config(
        {
            "algo": "airl",
            "env": "Pendulum-v1",
            "demos": "pendulum",
            "n_trajectories": 2,
            "generator": "fast-ppo",
            "preset": "none",
            "timesteps": 256,
            "n_envs": 2,
            "seed": 3,
            "device": "cpu",
            "generator_kwargs": KWARGS,
            "adversary": {"reward_inputs": ["observations"]},
            "evaluation": {"episodes": 2},
        }
    )
    return run_experiment(config, tmp_path_factory.mktemp("runs") / "airl", progress_bar=False).folder


@pytest.fixture(scope="module", autouse=True)
def few_episodes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganq_irl.studies.reward_transfer._EVALUATION_EPISODES", EPISODES)
        yield


@pytest.fixture(scope="module")
def transfer(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("transfers") / "there"
    return out, transfer_reward(run, CHANGED_PENDULUM, out=out, timesteps=2048, progress_bar=False)


def test_the_four_are_measured_from_the_same_starts_in_the_changed_environment(run, transfer):
    out, result = transfer
    evaluations = result.evaluations
    assert evaluations.keys() == {RECOVERED, TRUE, MOVED, RANDOM}
    assert {(one.episodes, one.seed) for one in evaluations.values()} == {(EPISODES, 10_000)}
    moved = evaluate_returns(load_run(run).policy("cpu"), CHANGED_PENDULUM, EPISODES, seed=10_000)
    assert evaluations[MOVED].returns == pytest.approx(moved.returns)
    assert evaluations[RANDOM].returns == pytest.approx(random_returns(CHANGED_PENDULUM, EPISODES, seed=10_000).returns)
    trained = evaluate_returns(load_run(out / TRUE).policy("cpu"), CHANGED_PENDULUM, EPISODES, seed=10_000)
    assert evaluations[TRUE].returns == pytest.approx(trained.returns)


def test_both_trainings_differ_in_the_reward_alone(run, transfer):
    out, result = transfer
    recovered, true = (load_run(out / name).config for name in (RECOVERED, TRUE))
    assert recovered.reward == str((run / "reward").resolve())
    assert true.reward is None
    assert {**vars(recovered), "reward": None} == vars(true)
    assert (true.algo, true.env, true.seed, true.timesteps) == ("fast-ppo", CHANGED_PENDULUM, 3, 2048)
    preset = load_presets()["fast-ppo-pendulum"]  # of the environment that the reward was learned in
    assert (true.n_envs, true.generator_kwargs) == (preset["n_envs"], preset["generator_kwargs"])
    assert result.evaluations[RECOVERED].returns != result.evaluations[TRUE].returns


def test_the_result_is_written_and_a_second_start_trains_nothing_again(run, transfer, monkeypatch):
    out, result = transfer
    content = json.loads((out / "transfer.json").read_text())
    assert content == json.loads(json.dumps(result.to_json()))
    assert (content["learned_in"], content["tested_in"]) == ("Pendulum-v1", CHANGED_PENDULUM)
    assert "returns" not in content["evaluations"]["true"]
    monkeypatch.setattr("ganq_irl.studies.reward_transfer.run_experiment", None)
    again = transfer_reward(run, CHANGED_PENDULUM, out=out, timesteps=2048, progress_bar=False)
    assert again.to_json() == result.to_json()


def test_an_interrupted_training_is_gone_on_with(run, tmp_path, transfer):
    class Interrupted(Exception):
        pass

    def announce(text):
        if "true" in text:
            raise Interrupted

    with pytest.raises(Interrupted):
        transfer_reward(run, CHANGED_PENDULUM, out=tmp_path / "x", timesteps=2048, progress_bar=False, announce=announce)
    assert not (tmp_path / "x" / "transfer.json").exists()
    result = transfer_reward(run, CHANGED_PENDULUM, out=tmp_path / "x", timesteps=2048, progress_bar=False)
    assert result.to_json()["evaluations"] == transfer[1].to_json()["evaluations"]


def test_a_folder_of_other_settings_is_left_alone(run, transfer):
    with pytest.raises(RunDirectoryError, match="other settings; choose another --out"):
        transfer_reward(run, CHANGED_PENDULUM, out=transfer[0], timesteps=1024, progress_bar=False)
    assert load_run(transfer[0] / TRUE).config.timesteps == 2048


def test_settings_come_from_the_preset_where_there_is_one(run):
    configs = transfer_configs(read_reward(run), CHANGED_PENDULUM, generator="sac")
    assert configs[TRUE].generator_kwargs == {"learning_rate": 1e-3, "gamma": 0.98, "policy_kwargs": {"net_arch": [64, 64]}}
    assert configs[TRUE].timesteps == configs[RECOVERED].timesteps == 20_000
    assert configs[TRUE].seed == 3
    assert transfer_configs(read_reward(run), CHANGED_PENDULUM, generator="a2c")[TRUE].generator_kwargs == {}


def test_scores_run_from_random_to_the_true_reward():
    def of(mean):
        return EpisodeStatistics(np.array([mean - 1, mean + 1]), np.array([5, 5]))

    scores = normalized({RECOVERED: of(-2.0), TRUE: of(0.0), MOVED: of(-9.0), RANDOM: of(-10.0)}, seed=0)
    assert {name: one.normalized for name, one in scores.items()} == {
        RECOVERED: 0.8,
        TRUE: 1.0,
        MOVED: 0.1,
        RANDOM: 0.0,
    }
    none = normalized({RECOVERED: of(-2.0), TRUE: of(-10.0), MOVED: of(-9.0), RANDOM: of(-10.0)}, seed=0)
    assert {one.normalized for one in none.values()} == {None}


def test_what_cannot_be_transferred_is_refused_before_anything_is_written(run, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(IncompatibleSpaces, match="observations of the environment"):
        transfer_reward(run, POINT_MAZE, out=out)
    with pytest.raises(ConfigurationError, match="ShiftedPointMaze"):
        transfer_reward(run, SHIFTED_POINT_MAZE.replace("Maze", "Maz"), out=out)
    with pytest.raises(ConfigurationError, match="did you mean 'fast-ppo'"):
        transfer_reward(run, CHANGED_PENDULUM, out=out, generator="fast-pp")
    shutil.copytree(run / "reward", tmp_path / "reward")
    with pytest.raises(RunDirectoryError, match="give the run that recovered it"):
        transfer_reward(tmp_path / "reward", CHANGED_PENDULUM, out=out)
    with pytest.raises(RunDirectoryError, match="does not exist"):
        transfer_reward(tmp_path / "nowhere", CHANGED_PENDULUM, out=out)
    assert not out.exists()
