"""Runs of a few steps that are killed and gone on with: what the tests of checkpoints are made of."""

import csv
import hashlib
import json
import multiprocessing
import os
import shutil

import gymnasium as gym
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.algorithms import ALGORITHMS, RewardLearning
from ganq_irl.generators.policies.store import save_policy
from ganq_irl.runs import resolve_config, run_experiment
from ganq_irl.runs.config import merged
from ganq_irl.runs.validation import ADVERSARIAL
from ganq_irl_demos import random_policy, record_episodes, save_demonstrations
from tests.scripted import BRIEF

ON_POLICY = ("ppo", "fast-ppo", "a2c", "trpo")
DISCRETE = ("dqn", "qrdqn", "gan-q")
KILLED = 9
HORIZON = 25
"""Pendulum's episodes are made as short as CartPole's, so that some end, and some are under way at a checkpoint."""


def env_of(generator):
    return "CartPole-v1" if generator in DISCRETE else "Pendulum-v1"


def record_demos(folder):
    """One file of random play for each environment, by its name, and the folder of an expert for Pendulum."""
    files = {}
    for name, kwargs in (("CartPole-v1", {}), ("Pendulum-v1", {"max_episode_steps": HORIZON})):
        env = gym.make(name, **kwargs)
        recorded = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 3, seed=0)
        files[name] = str(save_demonstrations(recorded, folder / f"{name}.npz"))
    save_policy(PPO("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [4]}, device="cpu"), folder / "expert")
    return files | {"expert": str(folder / "expert")}


def tiny_config(algo, generator=None, demos=None, **settings):
    """Settings of a run of 96 steps with a checkpoint every 32."""
    acting = generator or algo
    env = env_of(acting)
    kwargs = {"policy_kwargs": {"net_arch": [4]}}
    if acting == "a2c":
        kwargs |= {"n_steps": 16}
    elif acting in ON_POLICY:
        kwargs |= {"n_steps": 16, "batch_size": 8} | ({"n_epochs": 2} if acting != "trpo" else {})
    else:
        kwargs |= {"learning_starts": 20, "buffer_size": 60, "batch_size": 8, "train_freq": 4, "gradient_steps": 1}
    base = {"algo": algo, "env": env, "seed": 3, "device": "cpu", "preset": "none", "timesteps": 96}
    base |= {"generator_kwargs": kwargs, "checkpoint_every": 32, "evaluation": {"episodes": 1}}
    base |= {"env_kwargs": {"max_episode_steps": HORIZON}} if env == "Pendulum-v1" else {}
    if algo in ALGORITHMS:
        base |= {"generator": generator, "demos": demos[env]}
        if algo in ADVERSARIAL:
            base |= {"adversary": {"batch_size": 8, "hidden_sizes": [4], "n_updates": 2}}
        if algo == "dagger":
            base |= {"imitation": {"expert": demos["expert"], "n_labels": 40, "n_updates": 2}}
        if issubclass(ALGORITHMS[algo], RewardLearning):
            base |= {"imitation": {"segment_length": 5, "n_updates": 5, "hidden_sizes": [4], **BRIEF[algo]}}
    return resolve_config(merged(base, settings))


class KillAt(BaseCallback):
    """End the process at a step, as SIGKILL does: without a word to anybody."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def _on_step(self):
        if self.num_timesteps >= self.step:
            os._exit(KILLED)
        return True


class CopyAt(BaseCallback):
    """Copy a run's folder at a step: what a process that is killed then leaves behind."""

    def __init__(self, step, folder, copy):
        super().__init__()
        self.step, self.folder, self.copy = step, folder, copy

    def _on_step(self):
        if self.num_timesteps >= self.step and not self.copy.exists():
            shutil.copytree(self.folder, self.copy)
        return True


def run_and_kill(config, folder, step):
    """Train in a process of its own that dies at a step."""
    process = multiprocessing.get_context("fork").Process(
        target=run_experiment, args=(config, folder), kwargs={"progress_bar": False, "callback": KillAt(step)}
    )
    process.start()
    process.join()
    assert process.exitcode == KILLED


def rows(folder):
    """``progress.csv`` without the columns of the clock."""
    with open(folder / "progress.csv") as file:
        return [{k: v for k, v in row.items() if k not in ("time/fps", "time/time_elapsed")} for row in csv.DictReader(file)]


def written(folder):
    """Every tensor that the run left: policy, reward and, of each checkpoint, everything."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("policy", "reward")
        for path in (folder / name).glob("*.safetensors")
    }
    for path in sorted(folder.glob("checkpoints/*/manifest.json")):
        manifest = json.loads(path.read_text())
        hashes = {name: entry["sha256"] for name, entry in manifest["files"].items() if name.endswith(".safetensors")}
        files[path.parent.name] = hashes
    return files


def seal(folder, **changes):
    """Give a checkpoint the checksums that its files have now, as whoever planted something in it would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("sha256")
    manifest |= changes
    for name in list(manifest["files"]):
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["sha256"] = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
