"""What the automatic settings reach where nothing was tuned, beside cloning, the control and the true reward.

    python benchmarks/untuned.py [--env ENV] [--seeds 1,2,3] [--jobs 2]

Demonstrations come from the scripted experts of ``untuned_environments.py``. Imitation is given the environment, the
demonstrations and the number of steps, and nothing else. ``true reward`` is the same generator with the same settings on the
environment's own reward: an imitator can hardly be asked for more. Interrupted, the command continues where it stopped; runs
that are not finished are left out of the table.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import FINAL, final_of, grid_parser, run_cells, versions, write_markdown
from untuned_environments import ENVIRONMENTS, Untuned, register

METHODS = ("gail", "bc", "airl", "true reward", "control")
DEMONSTRATIONS = Path("benchmarks/runs/untuned-demonstrations")


@dataclass(frozen=True)
class Run:
    """One method on one environment with one seed."""

    env: str
    method: str
    seed: int

    @property
    def task(self) -> Untuned:
        """The environment with its expert."""
        return next(task for task in ENVIRONMENTS if task.env == self.env)

    def folder(self, runs: Path) -> Path:
        """Return the run directory."""
        return runs / f"{name_of(self.env)}-{self.method.replace(' ', '-')}-{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and evaluate."""
        import torch

        torch.set_num_threads(1)
        register()
        from ganq_irl.runs import run_experiment
        from ganq_irl.runs.resolve import on_true_reward, parse_assignment, resolve_config

        settings: dict[str, Any] = {"env": self.task.env, "demos": str(recorded(self.task)), "seed": self.seed}
        for assignment in overrides:
            settings |= parse_assignment(assignment)
        timed = settings | {"timesteps": self.task.timesteps}
        if self.method == "bc":
            config = resolve_config(settings | {"algo": "bc"})
        elif self.method == "true reward":
            config = on_true_reward(resolve_config(timed | {"algo": "gail"}))
        elif self.method == "control":
            config = resolve_config(timed | {"algo": "gail", "control": "frozen"})
        else:
            config = resolve_config(timed | {"algo": self.method})
        result = run_experiment(config, folder, progress_bar=False)
        shown = load(self.task)
        random = random_return(self.task, config.evaluation.episodes)
        return {
            "return": result.evaluation.mean_return,
            "demonstrations": float(np.mean(shown.returns)),
            "random": random,
            "length": result.evaluation.mean_length,
            "warning": result.warning or "",
        }


def name_of(env: str) -> str:
    """Return an environment's name for files."""
    return env.replace("/", "-")


def recorded(task: Untuned) -> Path:
    """Return the file of an environment's demonstrations."""
    return DEMONSTRATIONS / f"{name_of(task.env)}.npz"


def record(task: Untuned) -> None:
    """Record the expert, unless it has been done."""
    import gymnasium as gym

    from ganq_irl_demos import save_demonstrations
    from ganq_irl_demos.recording.policies import FunctionPolicy
    from ganq_irl_demos.recording.record import record_episodes

    if not recorded(task).exists():
        env = gym.make(task.env)
        recorded(task).parent.mkdir(parents=True, exist_ok=True)
        policy = FunctionPolicy(task.act, env.action_space, "scripted")
        save_demonstrations(record_episodes(policy, env, task.episodes, seed=0), recorded(task))


def load(task: Untuned) -> Any:
    """Return an environment's demonstrations."""
    from ganq_irl_demos import load_demonstrations

    return load_demonstrations(recorded(task))


def random_return(task: Untuned, episodes: int) -> float:
    """Return the mean return of random actions."""
    from ganq_irl.evaluation.rollouts import random_returns

    return float(np.mean(random_returns(task.env, episodes, seed=10_000).returns))


def main() -> int:
    """Record, train, and write the table."""
    parser = grid_parser(__doc__, "untuned", [task.env for task in ENVIRONMENTS], seeds="1,2,3", jobs=2)
    parser.add_argument("--method", action="append", choices=METHODS, help="may be given several times; all by default")
    arguments = parser.parse_args()
    register()
    tasks = [task for task in ENVIRONMENTS if task.env in (arguments.env or [task.env])]
    for task in tasks:
        record(task)
    methods = [method for method in METHODS if method in (arguments.method or METHODS)]
    cells = [Run(task.env, method, seed) for method in methods for seed in arguments.seeds for task in tasks]
    status = run_cells(cells, arguments)
    done = {cell: final_of(cell.folder(arguments.runs)) for cell in cells if (cell.folder(arguments.runs) / FINAL).is_file()}
    write_csv(arguments.out.with_suffix(".csv"), done)
    write_markdown(arguments.out, page(done))
    return status


def normalized(final: dict[str, Any]) -> float:
    """Return the score with 0 for random actions and 1 for the demonstrations."""
    return (final["return"] - final["random"]) / (final["demonstrations"] - final["random"])


def write_csv(path: Path, done: dict[Run, dict[str, Any]]) -> None:
    """Write one row for each run."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {versions('python benchmarks/untuned.py')}\n")
        writer = csv.writer(file)
        writer.writerow(["env", "developed", "method", "seed", "timesteps", "normalized", *next(iter(done.values()))])
        for run, final in done.items():
            own = [run.task.env, run.task.developed, run.method, run.seed, run.task.timesteps, f"{normalized(final):.4f}"]
            writer.writerow([*own, *final.values()])


def page(done: dict[Run, dict[str, Any]]) -> list[str]:
    """Return the page."""
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run, final in done.items():
        scores[run.task.env, run.method].append(normalized(final))
    lines = ["# Environments that nothing was tuned on", "", versions("python benchmarks/untuned.py"), ""]
    for title, developed in (("Settings were developed on these (other seeds)", True), ("Never looked at before", False)):
        lines += [
            f"## {title}",
            "",
            "| environment | steps | " + " | ".join(METHODS) + " |",
            "|---" * (len(METHODS) + 2) + "|",
        ]
        for task in ENVIRONMENTS:
            if task.developed == developed and any((task.env, method) in scores for method in METHODS):
                cells = [" ".join(f"{score:.2f}" for score in scores[task.env, method]) for method in METHODS]
                lines.append(f"| {task.env} | {task.timesteps // 1000} k | " + " | ".join(cells) + " |")
        lines.append("")
    silent = [
        f"{run.task.env} {run.method} {run.seed}"
        for run, final in done.items()
        if run.method in ("gail", "airl", "bc") and normalized(final) < 0.9 and not final["warning"]
    ]
    lines += ["Scores by seed: 0 is random actions, 1 the demonstrations.", ""]
    lines += [f"Runs below 0.9 without a warning: {', '.join(silent) or 'none'}.", ""]
    return lines


if __name__ == "__main__":
    sys.exit(main())
