import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch

from ganq_irl.environments import CHAIN
from ganq_irl.rewards import VecRewardWrapper, rewards_of
from ganq_irl.runs.rewards import load_reward, read_reward
from ganq_irl.storage import load_folder, save_folder
from ganq_irl.types import Batch
from tests.command_line import call

FAST = ["--device", "cpu", "--preset", "none", "--set", "evaluation.episodes=2", "--set", "generator_kwargs.n_steps=256"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of GAIL, one of AIRL, and one of PPO, which recovers nothing."""
    folder = tmp_path_factory.mktemp("runs")
    for algo in ("gail", "airl"):
        options = ["--demos", "pendulum", "--n-trajectories", 2, "--timesteps", 256]
        result = call("train", algo, *options, *FAST, "--out", folder / algo)
        assert result.exit_code == 0, result.stderr
    result = call("train", "ppo", "--env", "Pendulum-v1", "--timesteps", 256, *FAST, "--out", folder / "ppo")
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.mark.parametrize("where", ["gail", "gail/reward"])
def test_show_says_where_a_reward_comes_from(runs, where):
    result = call("reward", "show", runs / where, "--episodes", 1, "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["provenance"]["algorithm"] == "gail"
    assert len(content["provenance"]["demonstrations_sha256"]) == 64
    assert content["env"] == "Pendulum-v1"
    assert content["correlations"].keys() == {"random", "policy", "demonstrations"}
    assert all(-1 <= value <= 1 for row in content["correlations"].values() for value in row.values())
    text = call("reward", "show", runs / where, "--episodes", 1).stdout
    assert "demonstrations_sha256" in text
    assert "spearman" in text


@pytest.mark.parametrize(("algo", "pictures"), [("gail", {"map", "episode", "calibration"}), ("airl", {"map", "episode"})])
def test_show_draws(runs, algo, pictures, tmp_path):
    result = call("reward", "show", runs / algo, "--episodes", 1, "--out", tmp_path / "new", "--dimensions", 0, 2, "--json")
    assert result.exit_code == 0, result.stderr
    assert {path.stem for path in (tmp_path / "new").iterdir()} == pictures
    content = json.loads(result.stdout)
    assert all(os.path.getsize(path) > 1000 for path in content["pictures"])
    left_out = {name.removesuffix(".png") for name in content["left_out"]}
    assert left_out == {"map", "episode", "calibration"} - pictures
    assert all("policy" in reason for reason in content["left_out"].values())
    refused = call("reward", "show", runs / algo, "--episodes", 1, "--out", tmp_path, "--dimensions", 0, 3)
    assert refused.exit_code == 2
    assert "two different dimensions from 0 to 2" in refused.stderr


def test_a_folder_by_itself_knows_its_environment(runs, tmp_path):
    shutil.copytree(runs / "gail" / "reward", tmp_path / "mine")
    content = json.loads(call("reward", "compare", tmp_path / "mine", "--episodes", 1, "--json").stdout)
    assert content["correlations"][str(tmp_path / "mine")].keys() == {"random"}


def test_a_folder_that_does_not_know_its_environment_needs_one(runs, tmp_path):
    config, tensors = load_folder(runs / "gail" / "reward")
    config["provenance"]["env"] = None
    save_folder(tmp_path / "mine", config, tensors)
    content = json.loads(call("reward", "show", tmp_path / "mine", "--json").stdout)
    assert content["env"] is None
    assert "correlations" not in content
    refused = call("reward", "compare", tmp_path / "mine")
    assert (refused.exit_code, "--env" in refused.stderr) == (2, True)
    given = json.loads(
        call("reward", "compare", tmp_path / "mine", "--env", "Pendulum-v1", "--episodes", 1, "--json").stdout
    )
    assert given["correlations"][str(tmp_path / "mine")].keys() == {"random"}
    assert call("reward", "retrain", tmp_path / "mine", "--timesteps", 64).exit_code == 2


def test_compare_measures_distances_to_each_other_and_to_the_truth(runs, tmp_path):
    names = [str(runs / algo) for algo in ("gail", "airl")]
    result = call("reward", "compare", *names, "--episodes", 1, "--out", tmp_path / "c.json", "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert json.loads((tmp_path / "c.json").read_text()) == content
    first, second = (content["epic"][name] for name in names)
    assert first.keys() == {*names, "true"}
    assert first[names[0]] == second[names[1]] == 0
    assert first[names[1]] == pytest.approx(second[names[0]], abs=1e-3)
    assert 0 < first["true"] < 1
    again = json.loads(call("reward", "compare", *names, "--episodes", 1, "--json").stdout)
    assert again == content
    text = call("reward", "compare", *names, "--episodes", 1).stdout
    assert "EPIC" in text
    assert "Spearman" in text


def test_retrain_trains_on_the_reward_and_reports_the_true_return(runs, tmp_path):
    result = call(
        "reward",
        "retrain",
        runs / "airl",
        "--timesteps",
        256,
        "--seed",
        3,
        "--set",
        "evaluation.episodes=3",
        "--out",
        tmp_path / "again",
        "--json",
    )
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["episodes"] == 3
    assert content["mean_return"] < -100  # Pendulum's own, not g's
    settings = (tmp_path / "again" / "config.toml").read_text()
    assert f'reward = "{runs / "airl"}"' in settings
    assert 'algo = "fast-ppo"' in settings  # the generator that the reward was learned with
    assert "n_steps = 256" in settings  # the run's generator, as it was
    assert "seed = 3" in settings
    assert not (tmp_path / "again" / "reward").exists()


@pytest.mark.parametrize("algo", ["sac", "gan-q-continuous"])
def test_train_takes_a_reward(runs, tmp_path, algo, monkeypatch):
    paid = []
    step = VecRewardWrapper.step_wait
    monkeypatch.setattr(VecRewardWrapper, "step_wait", lambda self: paid.append(step(self)) or paid[-1])
    result = call(
        "train",
        algo,
        "--env",
        "Pendulum-v1",
        "--reward",
        runs / "gail",
        "--timesteps",
        40,
        "--preset",
        "none",
        "--set",
        "evaluation.episodes=1",
        "--device",
        "cpu",
        "--out",
        tmp_path / "run",
    )
    assert result.exit_code == 0, result.stderr
    assert len(paid) == 40
    assert (tmp_path / "run" / "policy").is_dir()


def test_imitation_refuses_a_reward_and_other_environments_are_refused(runs, tmp_path):
    refused = call("train", "gail", "--demos", "pendulum", "--reward", runs / "gail", "--out", tmp_path / "run")
    assert (refused.exit_code, "would ignore the reward" in refused.stderr) == (2, True)
    refused = call("train", "ppo", "--env", CHAIN, "--reward", runs / "gail", "--out", tmp_path / "run")
    assert (refused.exit_code, "observations of the environment" in refused.stderr) == (2, True)
    refused = call("train", "ppo", "--env", "Pendulum-v1", "--reward", runs / "ppo", "--out", tmp_path / "run")
    assert (refused.exit_code, "holds no recovered reward" in refused.stderr) == (2, True)
    refused = call("reward", "show", tmp_path / "nothing")
    assert (refused.exit_code, "does not exist" in refused.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_export_writes_what_its_name_says(runs, tmp_path, suffix):
    if suffix == "onnx":
        pytest.importorskip("onnx")
    result = call("reward", "export", runs / "airl", "--out", tmp_path / f"r.{suffix}", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["difference"] <= 1e-5
    assert os.path.getsize(tmp_path / f"r.{suffix}") > 1000
    refused = call("reward", "export", runs / "airl", "--out", tmp_path / "r.bin")
    assert (refused.exit_code, ".onnx or .pt2" in refused.stderr) == (2, True)


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("file", ["config.json", "tensors.safetensors"])
def test_a_planted_pickle_is_refused_and_not_run(runs, tmp_path, file):
    shutil.copytree(runs / "gail" / "reward", tmp_path / "reward")
    (tmp_path / "reward" / file).write_bytes(pickle.dumps(Bomb(tmp_path / "burst")))
    for command in (["reward", "show"], ["reward", "export"], ["train", "ppo", "--env", "Pendulum-v1", "--reward"]):
        refused = call(*command, tmp_path / "reward")
        assert refused.exit_code == 2
        assert "copy the folder again" in refused.stderr
    assert not (tmp_path / "burst").exists()
    pickle.loads((tmp_path / "reward" / file).read_bytes())  # the bomb works
    assert (tmp_path / "burst").exists()


@pytest.mark.parametrize("edit", ["tensor", "config", "foreign"])
def test_a_tampered_or_foreign_file_is_refused(runs, tmp_path, edit):
    shutil.copytree(runs / "gail" / "reward", tmp_path / "reward")
    config, tensors = tmp_path / "reward" / "config.json", tmp_path / "reward" / "tensors.safetensors"
    if edit == "tensor":
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(bytes(content))
    elif edit == "config":
        config.write_text(config.read_text().replace('"logit"', '"gail"', 1))
    else:
        save_folder(tmp_path / "reward", {"a policy": "of someone"}, load_folder(tmp_path / "reward")[1])
    refused = call("reward", "show", tmp_path / "reward")
    assert refused.exit_code == 2
    assert "reward" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_is_loaded_is_what_was_recovered(runs):
    stored = read_reward(runs / "airl")
    assert stored.run is not None
    again = load_reward(runs / "airl" / "reward")
    states = torch.as_tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    batch = Batch(states, torch.zeros(5, 1), states, torch.zeros(5))
    np.testing.assert_array_equal(rewards_of(stored.reward, batch), rewards_of(again, batch))
