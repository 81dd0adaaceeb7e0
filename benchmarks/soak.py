"""Check that memory, file handles, threads and disk use stay constant during an hour of training; time checkpoints.

    python benchmarks/soak.py --minutes 60 --out benchmarks/results/soak.md

A process trains GAIL with PPO for the first half and DAC with SAC for the second, each as one run with checkpoints,
evaluations and logs, and measures itself every 30 seconds. A line is fitted to the values after the warm-up. It only works
on Linux, since the figures come from /proc.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import page_parser, versions, write_markdown
from scipy.stats import linregress
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.runs import EvaluationConfig, ExperimentConfig, run_experiment
from ganq_irl.runs.checkpoints import Checkpointing

FLAT = 0.01
"""Maximum growth per hour, as a share of the mean, of a quantity that counts as flat."""


def config_of(algo: str, generator: str, every: int, **settings: Any) -> ExperimentConfig:
    """Return a run of Pendulum without end, with a checkpoint and an evaluation every ``every`` steps."""
    return ExperimentConfig(
        algo=algo,
        env="Pendulum-v1",
        demos="pendulum",
        generator=generator,
        timesteps=10**9,
        device="cpu",
        checkpoint_every=every,
        evaluation=EvaluationConfig(episodes=3, every=every, keep_best="return"),
        **settings,
    )


CONFIGS = {
    "GAIL, PPO": config_of("gail", "ppo", 50_000, n_envs=4, generator_kwargs={"n_steps": 512}),
    "DAC, SAC": config_of("dac", "sac", 500, generator_kwargs={"buffer_size": 2_000, "learning_starts": 500}),
}


@dataclass(frozen=True)
class Sample:
    """Measurements of the process at one moment.

    Attributes:
        run: the run in training.
        seconds: time since that run started.
        steps: environment steps of that run.
        rss: resident memory, in MiB.
        handles: open file descriptors.
        threads: number of threads.
        checkpoints: size of the run's checkpoints and policies, in MiB.
        logs: size of its progress.csv and TensorBoard's events, in MiB.
    """

    run: str
    seconds: float
    steps: int
    rss: float
    handles: int
    threads: int
    checkpoints: float
    logs: float


QUANTITIES = {
    "rss": "memory (MiB)",
    "handles": "file handles",
    "threads": "threads",
    "checkpoints": "checkpoints and policies on disk (MiB)",
    "logs": "logs on disk (MiB)",
}


class Watch(BaseCallback):
    """Measure the process regularly, and end the run when its time is over."""

    def __init__(self, run: str, folder: Path, seconds: float, every: float) -> None:
        super().__init__()
        self.run, self.folder, self.seconds, self.every = run, folder, seconds, every
        self.start, self.samples = time.monotonic(), list[Sample]()

    def _on_step(self) -> bool:
        now = time.monotonic() - self.start
        if now >= self.every * len(self.samples):
            self.samples.append(self._look(now))
        return now < self.seconds

    def _look(self, now: float) -> Sample:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        logs = sum(path.stat().st_size for path in self.folder.glob("[ep]*.*") if path.is_file())
        everything = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return Sample(
            run=self.run,
            seconds=round(now, 1),
            steps=self.num_timesteps,
            rss=round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2),
            handles=len(os.listdir("/proc/self/fd")),
            threads=len(os.listdir("/proc/self/task")),
            checkpoints=round((everything - logs) / 2**20, 3),
            logs=round(logs / 2**20, 3),
        )


class Clock:
    """Measure the seconds of each checkpoint within this context."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __enter__(self) -> Clock:
        self._save = save = Checkpointing._save

        def timed(callback: Checkpointing) -> None:
            start = time.perf_counter()
            save(callback)
            self.seconds.append(time.perf_counter() - start)

        Checkpointing._save = timed  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        Checkpointing._save = self._save  # type: ignore[method-assign]


def growth(samples: list[Sample], quantity: str, warm_up: float) -> tuple[float, float, float, str]:
    """Return mean, growth per hour with its standard error, and verdict, after the warm-up."""
    later = [sample for sample in samples if sample.seconds >= warm_up]
    hours = np.array([sample.seconds for sample in later]) / 3600
    values = np.array([getattr(sample, quantity) for sample in later], float)
    fit = linregress(hours, values)
    share = abs(fit.slope) / max(values.mean(), 1e-9)
    verdict = "flat" if share <= FLAT or abs(fit.slope) <= 2 * fit.stderr else f"{100 * share:.1f} % an hour"
    return values.mean(), fit.slope, fit.stderr, verdict


def page(runs: dict[str, tuple[Watch, Clock]], warm_up: float, minutes: float) -> list[str]:
    lines = [
        "# Soak",
        "",
        f"One process trains for {minutes:g} minutes, one run after the other, and looks at itself every "
        f"{next(iter(runs.values()))[0].every:g} seconds. Slopes are of a line through what it saw after the first "
        f"{warm_up / 60:g} minutes of a run, with their standard error. Flat: at most {100 * FLAT:g} % an hour, or within "
        "two standard errors of nothing. A log has a row for each rollout or evaluation, so that it is to grow, and each "
        "checkpoint holds a copy of progress.csv.",
    ]
    for name, (watch, clock) in runs.items():
        last, every = watch.samples[-1], CONFIGS[name].checkpoint_every
        lines += ["", f"## {name}: {last.steps} steps in {last.seconds / 60:.0f} minutes", ""]
        lines += ["| quantity | mean | growth an hour | verdict |", "|---|---|---|---|"]
        for quantity, label in QUANTITIES.items():
            mean, slope, error, verdict = growth(watch.samples, quantity, warm_up)
            lines.append(f"| {label} | {mean:.4g} | {slope:+.3g} ± {error:.2g} | {verdict} |")
        spent = 1e3 * np.array(clock.seconds)
        lines += [
            "",
            f"{len(spent)} checkpoints, one every {every} steps: {np.median(spent):.0f} ms each (median; "
            f"{spent.min():.0f} to {spent.max():.0f}), written, flushed and read back: "
            f"{spent.sum() / 10 / last.seconds:.2f} % of the run's time.",
        ]
    return [*lines, "", versions("python benchmarks/soak.py")]


def write_samples(path: Path, samples: list[Sample]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Sample)])
        table.writeheader()
        table.writerows(map(asdict, samples))


def main() -> None:
    parser = page_parser(__doc__, "soak.md")
    parser.add_argument("--minutes", type=float, default=60, help="total time of all runs")
    parser.add_argument("--run", action="append", choices=CONFIGS, help="a run; may be given several times")
    parser.add_argument("--warm-up", type=float, default=8, help="minutes of each run that are excluded from the fit")
    parser.add_argument("--every", type=float, default=30, help="seconds between measurements")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    runs: dict[str, tuple[Watch, Clock]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        names = arguments.run or list(CONFIGS)
        for number, name in enumerate(names):
            folder = Path(scratch) / str(number)
            watch = Watch(name, folder, 60 * arguments.minutes / len(names), arguments.every)
            with Clock() as clock:
                run_experiment(CONFIGS[name], folder, progress_bar=False, callback=watch)
            runs[name] = watch, clock
            write_samples(arguments.out.with_suffix(".csv"), [one for watch, _ in runs.values() for one in watch.samples])
    write_markdown(arguments.out, page(runs, 60 * arguments.warm_up, arguments.minutes))


if __name__ == "__main__":
    main()
