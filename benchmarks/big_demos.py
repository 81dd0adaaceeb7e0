"""Measure time and memory with ten million transitions: import, check, inspection, and the start of a training run.

A D4RL file with 17 observations and 6 actions is written first. Then each step runs in its own process, whose memory is
read from /proc every 50 ms. ``anonymous`` is memory of the process alone; ``mapped`` are pages of files, which the system
can reclaim. To show that, ``--limit 2`` runs each step in a memory cgroup (version 1 or 2, inside that of this process)
with a limit of that many GiB, in which both count. A step that needs more is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ganq_irl_demos.catalog import ROOT

HERE = Path(__file__).parent
EPISODE, OBSERVATION, ACTION = 1000, 17, 6
ENV = "Big-v0"
MODULE = f"""
import gymnasium as gym, numpy as np
class Big(gym.Env):
    observation_space = gym.spaces.Box(-np.inf, np.inf, ({OBSERVATION},), np.float32)
    action_space = gym.spaces.Box(-1, 1, ({ACTION},), np.float32)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size={OBSERVATION}).astype(np.float32), {{}}
    def step(self, action):
        return self.np_random.normal(size={OBSERVATION}).astype(np.float32), 1.0, False, False, {{}}
gym.register("Big-v0", Big, max_episode_steps={EPISODE})
"""
GANQ_IRL = [sys.executable, "-m", "ganq_irl_cli", "--import", "big_demos_env"]
COMMAND = [*GANQ_IRL, "demos"]
SETTINGS = ("evaluation.episodes=1", "generator_kwargs.n_steps=1024", "generator_kwargs.n_epochs=1")
TRAIN = ["train", "gail", "--env", ENV, "--demos", "big.npz", "--timesteps", "2048", "--device", "cpu", "--out", "run"]
TRAIN += [word for setting in SETTINGS for word in ("--set", setting)]


def write_d4rl(path: Path, transitions: int) -> None:
    """Write a file in the layout of D4RL, block by block."""
    import h5py

    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        fields = {"observations": OBSERVATION, "actions": ACTION, "next_observations": OBSERVATION}
        stored = {name: file.create_dataset(name, (transitions, width), "f4") for name, width in fields.items()}
        rewards = file.create_dataset("rewards", (transitions,), "f4")
        timeouts = file.create_dataset("timeouts", (transitions,), "?")
        file.create_dataset("terminals", (transitions,), "?")
        for start in range(0, transitions, 100 * EPISODE):
            rows = min(100 * EPISODE, transitions - start)
            states = generator.normal(size=(rows // EPISODE, EPISODE + 1, OBSERVATION)).astype(np.float32)
            stored["observations"][start : start + rows] = states[:, :-1].reshape(rows, -1)
            stored["next_observations"][start : start + rows] = states[:, 1:].reshape(rows, -1)
            stored["actions"][start : start + rows] = generator.uniform(-1, 1, (rows, ACTION))
            rewards[start : start + rows] = generator.normal(size=rows)
            timeouts[start : start + rows] = np.arange(rows) % EPISODE == EPISODE - 1


def memory(process: int) -> tuple[int, int]:
    """Return the current anonymous and mapped memory of a process in bytes."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return kib.get("RssAnon", 0) << 10, (kib.get("RssFile", 0) + kib.get("RssShmem", 0)) << 10


@contextlib.contextmanager
def limited(gib: float | None) -> Iterator[Path | None]:
    """Create a memory cgroup with a limit of ``gib``; yield None without a limit, or if none can be created."""
    group = None
    limit = "" if gib is None else str(int(gib * 2**30))
    for line in Path("/proc/self/cgroup").read_text().splitlines() if limit else ():
        _, kind, place = line.split(":", 2)
        if kind not in ("memory", "") or group is not None:
            continue
        root, name = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes") if kind else ("/sys/fs/cgroup", "memory.max")
        made = Path(root + place) / f"big-demos-{os.getpid()}"
        with contextlib.suppress(OSError):
            made.mkdir()
            if (made / name).exists():
                group = made
                (group / name).write_text(limit)
            else:
                made.rmdir()
    yield group
    if group is not None:
        time.sleep(0.5)
        group.rmdir()


def measured(arguments: list[str], folder: Path, gib: float | None) -> tuple[float, int, int, int, bool]:
    """Return seconds, peaks of anonymous, mapped and total memory in bytes, and whether a limit applied."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{HERE.parent}:{ROOT.parent}:{HERE.parent / 'cli'}"}
    start, peaks = time.monotonic(), (0, 0, 0)
    with limited(gib) as group:

        def enter() -> None:
            if group is not None:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        process = subprocess.Popen(arguments, cwd=folder, env=environment, preexec_fn=enter, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            anonymous, mapped = memory(process.pid)
            peaks = (max(peaks[0], anonymous), max(peaks[1], mapped), max(peaks[2], anonymous + mapped))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return time.monotonic() - start, *peaks, group is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", type=int, default=10_000_000, help="a multiple of 1000")
    parser.add_argument("--limit", type=float, help="memory limit of each step in GiB")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "big_demos.md")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="big-demos-"))
    (folder / "big_demos_env.py").write_text(MODULE)
    steps = {
        "demos import big.hdf5": [*COMMAND, "import", "big.hdf5", "--env", ENV, "--out", "big.npz"],
        "demos check big.npz": [*COMMAND, "check", "big.npz", "--env", ENV],
        "demos inspect big.npz": [*COMMAND, "inspect", "big.npz"],
        "train gail --demos big.npz": [*GANQ_IRL, *TRAIN],
    }
    try:
        write_d4rl(folder / "big.hdf5", options.transitions)
        rows = []
        for name, arguments in steps.items():
            seconds, anonymous, mapped, both, held = measured(arguments, folder, options.limit)
            gib = [f"{size / 2**30:.2f}" for size in (anonymous, mapped, both)]
            rows.append(f"| `{name}` | {seconds:.0f} | {' | '.join(gib)} | {f'{options.limit} GiB' if held else 'none'} |")
            print(rows[-1], flush=True)
        size = (folder / "big.hdf5").stat().st_size / 1e9
    finally:
        shutil.rmtree(folder)
    header = [
        "# Ten million transitions",
        "",
        f"{options.transitions} transitions of {OBSERVATION} + {ACTION} numbers in episodes of {EPISODE}, {size:.1f} GB of "
        "HDF5; `python benchmarks/big_demos.py" + (f" --limit {options.limit:g}`." if options.limit else "`."),
        "",
        "Peaks in GiB. Anonymous memory is the process's own; mapped are pages of files, which the system takes back when",
        "it needs room. Under a limit both count, and a step that needed more would have been killed.",
        "",
        "| step | seconds | anonymous | mapped | both at once | limit |",
        "|---|---|---|---|---|---|",
    ]
    options.out.write_text("\n".join([*header, *rows, ""]))


if __name__ == "__main__":
    main()
