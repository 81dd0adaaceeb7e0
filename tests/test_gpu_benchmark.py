"""The command for a GPU, dry on the CPU: every part runs and writes its lines."""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import gpu


def test_every_algorithm_runs_eager_and_accelerated(monkeypatch):
    monkeypatch.setattr(gpu, "ROLLOUT", 32)
    lines = gpu.speed("cpu", turns=1, steps=20)
    rows = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in lines if line.startswith("| ")}
    assert list(rows)[1:] == list(gpu.ALGORITHMS)
    for name in gpu.ALGORITHMS:
        assert all(int(rate) > 0 for rate in rows[name][:3])
    assert not any("is not accelerated" in line for line in lines)  # on the CPU all of them are


def test_seeds_train_as_tasks_of_workers_and_stop_in_time(monkeypatch):
    monkeypatch.setattr(gpu, "ROLLOUT", 32)
    monkeypatch.setattr(gpu, "run_tasks", lambda tasks, n: iter([(seed, Done(task())) for seed, task in tasks.items()]))
    lines = gpu.seeds_at_once("cpu", [1, 2], steps=20, deadline=time.perf_counter() + 600)
    assert sum(line.startswith(("| 1 |", "| 2 |")) and "left out" not in line for line in lines) == 2
    lines = gpu.seeds_at_once("cpu", [1, 2], steps=20, deadline=time.perf_counter())
    assert any(line.startswith("| 2 | left out") for line in lines)


class Done:
    """The outcome of a task that ran in this process."""

    def __init__(self, value):
        self.value = value

    def result(self):
        """Return what the task returned."""
        return self.value
