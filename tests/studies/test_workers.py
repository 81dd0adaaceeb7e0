"""Worker processes: what becomes of their tasks, and of them."""

import ast
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from ganq_irl.errors import WorkerLost
from ganq_irl.runs.interrupts import Interrupted, Interrupts
from ganq_irl.studies.workers import report, run_tasks
from tests.studies.planted import ROOT, run_among_planted_modules


class Unreadable(Exception):
    """One that another process cannot make again."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def square(number):
    report(number)
    return number**2


def fail():
    raise Unreadable("this", "that")


def complain():
    text = "\x1b]0;renamed\x07 \x9b2J"
    warnings.warn(f"\x1b[33mwarned {text}\x1b[0m", stacklevel=1)
    logging.getLogger("x").warning("logged %s", text)
    print(f"printed {text}", file=sys.stderr)


def kill(number):
    os.kill(os.getpid(), number)


def train(folder, begun="begun", ended="ended"):
    """Learn until asked to stop, and end in order, as a run does."""
    with Interrupts() as interrupts:
        (folder / f"{begun}-{os.getpid()}").touch()
        while interrupts.requested is None:
            time.sleep(0.01)
        time.sleep(0.1)
        (folder / f"{ended}-{os.getpid()}").touch()
        raise Interrupted("a checkpoint was made")


def train_two(folder):
    """The program of the process that the tests below end."""
    with closing(run_tasks({name: partial(train, folder) for name in "abc"}, 2)) as outcomes:
        list(outcomes)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def pids(folder, name):
    return {int(path.name.rpartition("-")[2]) for path in folder.glob(f"{name}-*")}


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_task_that_fails_or_dies_takes_nothing_with_it():
    tasks = {"two": partial(square, 2), "fail": fail, "kill": partial(kill, signal.SIGKILL), "three": partial(square, 3)}
    told = []
    outcomes = dict(run_tasks(tasks, 1, told.append))
    assert list(outcomes) == list(tasks)
    assert (outcomes["two"].result(), outcomes["three"].result()) == (4, 9)
    assert told == [2, 3]
    assert str(outcomes["fail"].exception()) == "Unreadable: this and that"
    with pytest.raises(WorkerLost, match="SIGKILL"):
        outcomes["kill"].result()


def test_a_worker_that_gets_sigterm_ends_in_order_and_begins_nothing_else(tmp_path):
    def terminate():
        wait_for(lambda: pids(tmp_path, "begun"))
        for pid in pids(tmp_path, "begun"):
            os.kill(pid, signal.SIGTERM)

    threading.Thread(target=terminate, daemon=True).start()
    outcomes = []
    with pytest.raises(Interrupted, match="every worker was told to stop; tasks left: 1"):
        outcomes.extend(run_tasks({"first": partial(train, tmp_path), "second": partial(train, tmp_path)}, 1))
    assert len(pids(tmp_path, "begun")) == 1
    assert pids(tmp_path, "begun") == pids(tmp_path, "ended")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(number, tmp_path):
    program = f"from pathlib import Path; import test_workers; test_workers.train_two(Path({str(tmp_path)!r}))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True) as parent:
        wait_for(lambda: len(pids(tmp_path, "begun")) == 2)
        if number == signal.SIGKILL:
            parent.kill()
        else:
            os.killpg(parent.pid, number)  # which every process of it gets, as from a batch system
        _, errors = parent.communicate(timeout=60)
    wait_for(lambda: not any(map(is_alive, pids(tmp_path, "begun"))), seconds=10)
    assert len(pids(tmp_path, "begun")) == 2
    if number == signal.SIGTERM:
        assert pids(tmp_path, "ended") == pids(tmp_path, "begun")
        assert "interrupted by SIGTERM; run the same command to continue" in errors


def test_modules_in_the_working_folder_are_not_run(tmp_path):
    program = (
        "if __name__ == '__main__':\n"
        "    import os\n"
        "    from ganq_irl.studies.workers import run_tasks\n"
        "    assert [outcome.result() for _, outcome in run_tasks({1: os.getcwd}, 1)] == [os.getcwd()]\n"
        "    assert 'PYTHONSAFEPATH' not in os.environ\n"
    )
    done, ran = run_among_planted_modules(tmp_path, program)
    assert ran == []
    assert done.returncode == 0, done.stderr


def test_processes_are_started_in_one_place():
    starters = {"multiprocessing", "concurrent.futures.process", "concurrent.futures.ProcessPoolExecutor", "subprocess"}
    rooms = [ROOT / "ganq_irl", ROOT / "cli", ROOT / "demos"]
    files = [path for room in rooms for path in room.rglob("*.py")] + [ROOT / "benchmarks/common.py"]
    assert {path.name for path in files if imports_of(path) & starters} == {"processes.py", "workers.py"}


def imports_of(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.slow
def test_a_worker_that_is_killed_fails_its_cell_alone(tmp_path):
    """As the system does for want of memory."""
    from ganq_irl.studies.execute import run_grid
    from tests.studies.grid_examples import quick_grid

    first = tmp_path / "cells/CartPole-v1/dqn/seed0"

    def kill_worker():
        wait_for((first / "run.json").exists)
        for pid in [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_worker(int(pid))]:
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


def test_what_a_worker_says_does_not_control_the_terminal(capfd):
    ((_, outcome),) = run_tasks({"a": complain}, 1)
    outcome.result()
    said = capfd.readouterr().err
    for word in ("warned", "logged", "printed"):
        assert f"{word} \\x1b]0;renamed\\x07 \\x9b2J" in said
    assert not set("\x1b\x07\x9b") & set(said)
