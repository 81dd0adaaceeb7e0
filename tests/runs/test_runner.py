import csv
import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.errors import ConfigurationError, GanqIrlError, InvalidDemonstrations, RunDirectoryError, TrainingDiverged
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.runs import load_run, resolve_config, run_experiment
from ganq_irl.runs.config import merged
from ganq_irl.runs.experts import expert_config, record_policies
from ganq_irl.runs.runner import evaluate_run_policy
from ganq_irl.space_matrix import TRAITS
from ganq_irl_demos import random_policy, record_episodes, save_demonstrations

CONTINUOUS = {name for name, traits in TRAITS.items() if traits.acts_in == (spaces.Box,)}
ON_POLICY = {"ppo", "fast-ppo", "a2c", "trpo"}
SMALL = {"policy_kwargs": {"net_arch": [8]}}
OFF_POLICY = {"learning_starts": 50, "buffer_size": 500, "batch_size": 32, "train_freq": 4, "gradient_steps": 1}
HORIZON = 40

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")


def config_of(algo, **settings):
    env = "Pendulum-v1" if algo in CONTINUOUS | {"gail", "airl", "bc"} else "CartPole-v1"
    generator = settings.get("generator", "ppo" if algo in ("gail", "airl") else algo)
    kwargs = SMALL | ({"n_steps": 64} if generator in ON_POLICY else OFF_POLICY)
    kwargs |= {"n_epochs": 2} if generator in ("ppo", "fast-ppo") else {}
    base = {"algo": algo, "env": env, "seed": 3, "device": "cpu", "preset": "none", "evaluation": {"episodes": 2}}
    base |= {"env_kwargs": {"max_episode_steps": HORIZON}} if env == "Pendulum-v1" else {}
    base |= {"bc": {"n_updates": 20}} if algo == "bc" else {"timesteps": 256, "generator_kwargs": kwargs}
    base |= {"adversary": {"batch_size": 32}} if algo in ("gail", "airl") else {}
    return resolve_config(merged(base, settings))


@pytest.fixture(scope="session")
def demos(tmp_path_factory):
    env = gym.make("Pendulum-v1", max_episode_steps=HORIZON)
    recorded = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 3, seed=0)
    return str(save_demonstrations(recorded, tmp_path_factory.mktemp("demos") / "random.npz"))


def tensors(folder):
    return (folder / "policy" / "tensors.safetensors").read_bytes()


@pytest.mark.once
@pytest.mark.parametrize("algo", GENERATORS)
def test_equal_seeds_give_bit_identical_policies(algo, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run_experiment(config_of(algo, seed=seed, timesteps=96), tmp_path / name, progress_bar=False)
    assert tensors(tmp_path / "a") == tensors(tmp_path / "b")
    assert tensors(tmp_path / "a") != tensors(tmp_path / "c")


@pytest.mark.parametrize(
    ("algo", "settings"),
    [
        ("gail", {}),
        ("airl", {}),
        ("bc", {}),
        ("gail", {"generator": "sac"}),
        ("gail", {"normalize_observations": True, "n_envs": 2, "n_trajectories": 2, "control": "frozen"}),
        ("airl", {"adversary": {"learning_rate": {"initial": 1e-3, "final": 0.0}, "reward_inputs": ["observations"]}}),
    ],
)
def test_imitation_writes_a_run_that_its_own_config_repeats(algo, settings, demos, tmp_path):
    short = {} if algo == "bc" else {"timesteps": 128}
    result = run_experiment(config_of(algo, demos=demos, **short, **settings), tmp_path / "first", progress_bar=False)
    again = resolve_config({}, file=tmp_path / "first" / "config.toml")
    run_experiment(again, tmp_path / "second", progress_bar=False)
    assert tensors(tmp_path / "first") == tensors(tmp_path / "second")
    assert (tmp_path / "first" / "reward").is_dir() == (algo != "bc")
    if algo != "bc":
        first, second = ((tmp_path / name / "reward" / "tensors.safetensors").read_bytes() for name in ("first", "second"))
        assert first == second
    run = load_run(tmp_path / "first")
    assert run.info["status"] == "finished"
    evaluation, _ = evaluate_run_policy(run.config, run.policy("cpu"))
    assert evaluation == result.evaluation


def test_a_policys_average_is_what_is_evaluated_and_kept(tmp_path):
    last = run_experiment(config_of("ppo"), tmp_path / "last", progress_bar=False)
    same = run_experiment(config_of("ppo", average_rate=1.0), tmp_path / "same", progress_bar=False)
    average = run_experiment(
        config_of("ppo", average_rate=0.01, evaluation={"episodes": 20, "every": 200}),
        tmp_path / "average",
        progress_bar=False,
    )
    assert tensors(last.folder) == tensors(same.folder) != tensors(average.folder)
    with open(average.folder / "progress.csv") as file:
        during = [float(row["eval/mean_reward"]) for row in csv.DictReader(file) if row["eval/mean_reward"]]
    assert during[-1] != last.evaluation.mean_return


def test_what_a_run_directory_holds(tmp_path):
    config = config_of("ppo", evaluation={"episodes": 2, "every": 100, "keep_best": "return"}, normalize_observations=True)
    result = run_experiment(config, tmp_path / "run", progress_bar=False)
    names = {path.name.split(".")[0] if "tfevents" in path.name else path.name for path in (tmp_path / "run").iterdir()}
    written = {"config.toml", "run.json", "progress.csv", "events", "policy", "policy_best", "evaluation.json"}
    assert names == {".lock", *written}
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (info["status"], info["seed"], info["device"]) == ("finished", 3, "cpu")
    assert {"python", "torch", "stable-baselines3", "gymnasium", "numpy", "ganq-irl"} <= info["versions"].keys()
    assert info["seconds"].keys() == {"train", "evaluate"}
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluation["mean_return"] == result.evaluation.mean_return == pytest.approx(np.mean(evaluation["returns"]))
    with open(tmp_path / "run" / "progress.csv") as file:
        evaluated = [row for row in csv.DictReader(file) if row["eval/mean_reward"]]
    assert [int(row["time/total_timesteps"]) for row in evaluated] == [100, 200]


def test_evaluating_on_the_way_changes_nothing(tmp_path):
    run_experiment(config_of("sac", timesteps=96), tmp_path / "without", progress_bar=False)
    evaluated = config_of("sac", timesteps=96, evaluation={"episodes": 1, "every": 30})
    run_experiment(evaluated, tmp_path / "with", progress_bar=False)
    assert tensors(tmp_path / "without") == tensors(tmp_path / "with")


def test_the_last_evaluation_on_the_way_is_the_final_one(tmp_path):
    config = config_of("dqn", timesteps=200, evaluation={"episodes": 2, "every": 200}, normalize_observations=True)
    result = run_experiment(config, tmp_path / "run", progress_bar=False)
    with open(tmp_path / "run" / "progress.csv") as file:
        (evaluated,) = [float(row["eval/mean_reward"]) for row in csv.DictReader(file) if row["eval/mean_reward"]]
    assert evaluated == result.evaluation.mean_return


def test_a_used_directory_is_refused_untouched(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(RunDirectoryError, match="not empty; choose another --out"):
        run_experiment(config_of("ppo"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_wrong_request_leaves_nothing(demos, tmp_path):
    config = config_of("gail", demos=demos, n_trajectories=99)
    with pytest.raises(GanqIrlError, match="99"):
        run_experiment(config, tmp_path / "run")
    with pytest.raises(InvalidDemonstrations, match="Pendulum-v1"):
        run_experiment(resolve_config({"algo": "bc", "env": "CartPole-v1", "demos": demos}), tmp_path / "run")
    forgetful = {"optimize_memory_usage": True}
    with pytest.raises(GanqIrlError, match="optimize_memory_usage"):
        run_experiment(config_of("gail", demos=demos, generator="sac", generator_kwargs=forgetful), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Stop(BaseCallback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def _on_step(self):
        if self.num_timesteps >= 100:
            raise self.error
        return True


@pytest.mark.parametrize(
    ("error", "status", "has_policy"), [(KeyboardInterrupt(), "interrupted", True), (OSError("disk full"), "failed", False)]
)
def test_a_run_that_stops_early_says_so(error, status, has_policy, tmp_path):
    with pytest.raises(type(error)):
        run_experiment(config_of("ppo"), tmp_path / "run", progress_bar=False, callback=Stop(error))
    run = load_run(tmp_path / "run")
    assert run.info["status"] == status
    assert (tmp_path / "run" / "policy").is_dir() == has_policy
    if not has_policy:
        assert "disk full" in run.info["error"]
        with pytest.raises(RunDirectoryError, match=r"holds no policy \(status: failed\)"):
            run.policy()


class Poison(BaseCallback):
    def _on_step(self):
        with torch.no_grad():
            next(self.model.policy.parameters()).fill_(float("nan"))
        return False


def test_a_policy_that_is_not_finite_is_a_failure(tmp_path):
    with pytest.raises(TrainingDiverged, match="not finite"):
        run_experiment(config_of("sac"), tmp_path / "run", progress_bar=False, callback=Poison())


def test_not_a_run(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"holds no config\.toml"):
        load_run(tmp_path)
    (tmp_path / "config.toml").write_text('algo = "ppo"\nenv = "CartPole-v1"')
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="not valid JSON"):
        load_run(tmp_path)


def test_the_default_directory_is_a_new_one_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [run_experiment(config_of("ppo"), progress_bar=False).folder for _ in range(2)]
    assert [str(folder) for folder in folders] == ["runs/ppo-cartpole-3", "runs/ppo-cartpole-3-1"]


def test_recording_a_run_keeps_where_it_came_from(tmp_path):
    run_experiment(config_of("ppo", normalize_observations=True), tmp_path / "run", progress_bar=False)
    recorded = record_policies([load_run(tmp_path / "run")], 2, seed=5)
    assert (len(recorded), recorded.env_id) == (2, "CartPole-v1")
    assert recorded.provenance["settings"]["algo"] == "ppo"
    assert str(tmp_path) not in json.dumps(recorded.provenance)
    run = load_run(tmp_path / "run")
    with pytest.raises(GanqIrlError, match="space"):
        record_policies([run], 1, seed=0, env="Pendulum-v1")
    returns = evaluate_run_policy(run.config, run.policy(), episodes=2, seed=5)[0].returns
    assert tuple(recorded.returns) == returns  # the same policy from the same seeds


def test_several_runs_are_recorded_in_the_environment_that_trained_them(tmp_path):
    run_experiment(config_of("ppo", env_kwargs={"max_episode_steps": 7}), tmp_path / "run", progress_bar=False)
    short = load_run(tmp_path / "run")
    assert [len(one) <= 7 for one in record_policies([short, short], 3, seed=0)] == [True] * 3
    long, other = (
        replace(short, config=replace(short.config, **settings)) for settings in ({"env_kwargs": {}}, {"env": "Acrobot-v1"})
    )
    with pytest.raises(ConfigurationError, match=r"env_kwargs \{'max_episode_steps': 7\}.* with \{\}; record each"):
        record_policies([short, long], 1, seed=0)
    with pytest.raises(ConfigurationError, match="trained in CartPole-v1 and Acrobot-v1; give the environment"):
        record_policies([short, other], 1, seed=0)


def test_experts_are_those_of_presets():
    assert expert_config("Pendulum-v1", seed=2).algo == "sac"
    assert expert_config("ganq_irl/ContinuingAcrobot-v0", seed=2).env == "Acrobot-v1"
    with pytest.raises(GanqIrlError, match="--run"):
        expert_config("Blackjack-v1", seed=0)
