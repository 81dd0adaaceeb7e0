"""Runs in processes of their own."""

import os
import signal
import threading
import time

import pytest
from grid_examples import quick_grid

from ganq_irl.experiment.grid_runner import run_grid


@pytest.mark.slow
def test_a_worker_that_is_killed_fails_its_cell_alone(tmp_path):
    """As the system does for want of memory; the cell tells its process by a file that it has open."""
    first = tmp_path / "cells/CartPole-v1/dqn/seed0"

    def kill_worker():
        while not (first / "run.json").exists():
            time.sleep(0.01)
        children = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_worker(int(pid))]
        for pid in children:
            os.kill(pid, signal.SIGKILL)

    threading.Thread(target=kill_worker, daemon=True).start()
    run = run_grid(quick_grid(["dqn", "bc"], seeds=1, timesteps=20_000), tmp_path, jobs=1)
    assert list(run.failures) == ["dqn on CartPole-v1, seed 0"]
    assert "was killed by SIGKILL" in run.failures["dqn on CartPole-v1, seed 0"]
    assert run_grid(quick_grid(["bc"], seeds=1, timesteps=20_000), tmp_path).n_run == 0


def is_worker(pid):
    """Whether it is a process that multiprocessing spawned from this one."""
    try:
        with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as command:
            parent = int(stat.read().rpartition(")")[2].split()[1])
            return parent == os.getpid() and "spawn_main" in command.read()
    except OSError:
        return False
