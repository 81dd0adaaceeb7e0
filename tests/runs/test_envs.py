"""Training environments in this process and in others, and how many updates several of them bring."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.runs import run_experiment
from ganq_irl.runs.envs import make_training_env
from ganq_irl.runs.resolve import resolve_config
from tests.resume_examples import tiny_config
from tests.scripted import flat


class Watch(BaseCallback):
    """Keep the kind of the environments, and the observations, rewards and ends of each step."""

    def _on_training_start(self):
        self.kind, self.seen = type(self.training_env), []

    def _on_step(self):
        self.seen += [np.array(self.locals[name], np.float32) for name in ("new_obs", "rewards", "dones")]
        return True


def test_environments_in_processes_change_no_number_import_nothing_from_the_working_folder_and_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multiprocessing.py").write_text("open('ran', 'w')\n")
    watches = {"dummy": Watch(), "subproc": Watch()}
    for vec, watch in watches.items():
        run_experiment(tiny_config("ppo", n_envs=2, vec=vec), tmp_path / vec, progress_bar=False, callback=watch)
    assert [watch.kind for watch in watches.values()] == [DummyVecEnv, SubprocVecEnv]
    for ours, theirs in zip(*(watch.seen for watch in watches.values()), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (load_policy(tmp_path / vec / "policy", device="cpu").policy for vec in watches)
    assert torch.equal(flat(ours), flat(theirs))
    assert len(list((tmp_path / "subproc" / "checkpoints").iterdir())) > 1
    assert not (tmp_path / "ran").exists()
    assert not multiprocessing.active_children()


def hold_environments(pids):
    """Send Ctrl-C to the environments' processes, step them, send their numbers, and wait to be killed."""
    env = make_training_env("CartPole-v1", 2, seed=0, vec="subproc")
    env.reset()
    for process in env.processes:
        os.kill(process.pid, signal.SIGINT)
    env.step(np.zeros(2, dtype=int))
    pids.send([process.pid for process in env.processes])
    time.sleep(60)


def test_environments_in_processes_survive_ctrl_c_and_end_with_their_parent():
    """Ctrl-C in a terminal reaches them too."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    parent = context.Process(target=hold_environments, args=(sender,))
    parent.start()
    assert receiver.poll(60)
    pids = receiver.recv()
    assert len(pids) == 2
    parent.kill()
    parent.join()
    until = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


SAC = {"algo": "sac", "env": "Pendulum-v1", "preset": "none"}
DAC = {"algo": "dac", "env": "Pendulum-v1", "demos": "pendulum", "preset": "none"}


@pytest.mark.parametrize(
    ("settings", "gradient_steps", "n_updates"),
    [
        (SAC, 4, None),
        (SAC | {"generator_kwargs": {"gradient_steps": 1}}, 1, None),
        (SAC | {"algo": "gan-q", "env": "CartPole-v1"}, 128, None),
        (DAC, 4, 4),
        (DAC | {"generator": "tqc", "adversary": {"n_updates": 0.5}}, 4, 0.5),
        (DAC | {"algo": "gail", "generator": "sac"}, 4, 4),
        (DAC | {"algo": "gail"}, None, None),
        ({"algo": "dqn", "env": "CartPole-v1", "preset": "dqn-lunarlander"}, -1, None),
    ],
)
def test_several_environments_get_as_many_updates_as_one(settings, gradient_steps, n_updates):
    config = resolve_config(settings | {"n_envs": 4})
    assert config.generator_kwargs.get("gradient_steps") == gradient_steps
    assert config.adversary.get("n_updates") == n_updates


def test_the_updates_of_a_written_config_are_taken_as_they_are(tmp_path):
    config = resolve_config(DAC | {"n_envs": 4})
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert resolve_config({}, file=tmp_path / "config.toml") == config


def test_environments_elsewhere_cannot_be_replaced_at_checkpoints():
    with pytest.raises(ConfigurationError, match="exact_checkpoints replaces the environments of its own process"):
        resolve_config(SAC | {"vec": "subproc", "exact_checkpoints": True})
