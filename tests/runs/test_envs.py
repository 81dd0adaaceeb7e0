"""Training environments in this process and in others, and how many updates several of them bring."""

import multiprocessing
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.policies.store import load_policy
from ganq_irl.runs import run_experiment
from ganq_irl.runs.envs import make_training_env
from ganq_irl.runs.resolve import resolve_config
from tests.resume_examples import tiny_config
from tests.scripted import flat


def stepped(env, n_steps=60):
    env.action_space.seed(0)
    rows = [env.reset()]
    for _ in range(n_steps):
        observations, rewards, dones, _ = env.step(np.array([env.action_space.sample() for _ in range(env.num_envs)]))
        rows += [observations, rewards, dones]
    env.close()
    return rows


def test_other_processes_change_no_number_and_import_nothing_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multiprocessing.py").write_text("open('ran', 'w')\n")
    here = make_training_env("CartPole-v1", 2, seed=3)
    elsewhere = make_training_env("CartPole-v1", 2, seed=3, vec="subproc")
    assert isinstance(here, DummyVecEnv)
    assert isinstance(elsewhere, SubprocVecEnv)
    for ours, theirs in zip(stepped(here), stepped(elsewhere), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not (tmp_path / "ran").exists()


def test_ctrl_c_and_a_killed_parent(tmp_path):
    """Ctrl-C reaches the environments' processes as well, which go on; without a parent they end."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import numpy as np, os, sys, time\n"
        "from ganq_irl.runs.envs import make_training_env\n"
        "if __name__ == '__main__':\n"
        "    env = make_training_env('CartPole-v1', 2, seed=0, vec='subproc')\n"
        "    env.reset()\n"
        "    for process in env.processes: os.kill(process.pid, 2)\n"
        "    env.step(np.zeros(2, dtype=int))\n"
        "    print(*(process.pid for process in env.processes), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.send_signal(signal.SIGKILL)
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


def test_a_run_with_checkpoints_is_the_same_and_leaves_no_process(tmp_path):
    for vec in ("dummy", "subproc"):
        config = tiny_config("ppo", n_envs=2, vec=vec)
        run_experiment(config, tmp_path / vec, progress_bar=False)
    ours, theirs = (load_policy(tmp_path / vec / "policy", device="cpu").policy for vec in ("dummy", "subproc"))
    assert torch.equal(flat(ours), flat(theirs))
    assert len(list((tmp_path / "subproc" / "checkpoints").iterdir())) > 1
    assert not multiprocessing.active_children()
