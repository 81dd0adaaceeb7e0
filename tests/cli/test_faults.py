"""Real faults, met through the command line: a disk that is full, one that is read-only, a worker that is killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganq_irl.runs.checkpoints import CheckpointStore

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "ganq_irl_cli"]
TRAIN = ["train", "fast-ppo", "--env", "Pendulum-v1", "--preset", "none", "--device", "cpu", "--checkpoint-every", "64"]
TRAIN += ["--set", "generator_kwargs.n_steps=64", "--set", "evaluation.episodes=1", "--timesteps", "100000000"]
PATIENCE = 300


@pytest.fixture
def disk(tmp_path):
    """A file system of 16 MiB of its own, which is possible for root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def started(*arguments):
    """A command in a process of its own, which is ended with the block."""
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, text=True, preexec_fn=_heed_ctrl_c)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _heed_ctrl_c():
    """A suite that was started in the background ignores it, which its children would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def fill(folder):
    """Write until there is no room."""
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def last_line(process):
    return process.communicate(timeout=PATIENCE)[1].strip().splitlines()[-1]


def test_a_full_disk(disk):
    run = disk / "run"
    store = CheckpointStore(run / "checkpoints")
    with started(*TRAIN, "--out", run) as process:
        wait_for(lambda: store.newest_name() is not None)
        fill(disk)
        error = last_line(process)
    assert (process.returncode, error.startswith("Error: ")) == (1, True), error
    assert "No space left on device" in error
    kept = store.newest().step  # is whole
    with started("resume", run) as process:
        assert last_line(process).startswith("Error: cannot write")
    assert (process.returncode, store.newest().step) == (1, kept)
    (disk / "filler").unlink()
    with started("resume", run) as process:
        wait_for(lambda: store.newest_name() > f"step-{kept:012d}")
        process.send_signal(signal.SIGINT)
        assert "continue with: ganq-irl resume" in last_line(process)
    assert process.returncode == 130


def test_a_read_only_disk(disk):
    run = disk / "run"
    store = CheckpointStore(run / "checkpoints")
    with started(*TRAIN, "--out", run) as process:
        wait_for(lambda: store.newest_name() is not None)
        process.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for arguments in (["resume", run], [*TRAIN, "--out", disk / "other"]):
        with started(*arguments) as process:
            error = last_line(process)
        assert (process.returncode, error.startswith("Error: cannot write")) == (1, True), error
        assert "Read-only file system" in error
    before = store.newest().folder.name
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with started("resume", run) as process:
        wait_for(lambda: store.newest_name() != before)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_a_worker_of_a_grid_that_is_killed(tmp_path):
    out = tmp_path / "grid"
    (tmp_path / "grid.toml").write_text(
        'algos = ["dqn", "bc"]\nenv = ["CartPole-v1"]\nn_demos = [1]\nseeds = 1\ntimesteps = 20000\npreset = "none"\n'
        "evaluation = {episodes = 1}\n[methods.bc]\nbc = {n_updates = 5}\n"
    )
    arguments = ["--config", tmp_path / "grid.toml", "--jobs", "1"]
    first = out / "cells/CartPole-v1/dqn/seed0"
    with started("compare", *arguments, "--out", out) as process:
        wait_for(lambda: (first / "run.json").is_file())
        for worker in _workers_of(process.pid):
            os.kill(worker, signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, errors
    assert "was killed by SIGKILL" in errors
    assert "was killed by SIGKILL" in json.loads((first / "failed.json").read_text())["error"]
    with started("compare", *arguments, "--out", out) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert json.loads((first / "run.json").read_text())["status"] == "finished"


def _workers_of(parent):
    """Processes that multiprocessing spawned from another one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_child = int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            if is_child and "spawn_main" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found
