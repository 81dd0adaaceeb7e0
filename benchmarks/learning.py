"""Do GAIL and AIRL learn, on every seed, and does it hold? Beside behavioural cloning and the frozen control.

    python benchmarks/learning.py --env Pendulum-v1 --jobs 2

runs a grid of algorithms, numbers of shipped demonstrations and seeds with the presets that `ganq-irl train` uses, one
run directory a cell under --runs, so that a second start continues where the first stopped. Then it writes the table of
all cells there are. A seed decides networks, environments and which demonstrations are drawn.

Scores are normalised: 0 is the random policy, 1 the expert that the demonstrations come from, both as the catalog has them.
"final" is 100 episodes of the last policy, from initial states that no training saw; "first" is the first evaluation (20
episodes) at 0.9 or more; "worst after" the lowest evaluation from there to the end, which is what holding it means.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import run_cells, versions, write_markdown

TARGET = 0.9
STEPS = {
    "Pendulum-v1": 150_000,
    "MountainCar-v0": 300_000,
    "Acrobot-v1": 100_000,
    "ganq_irl/ContinuingAcrobot-v0": 200_000,
}
ALGORITHMS = ("gail", "airl", "bc", "frozen")


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    env: str
    algorithm: str
    n_trajectories: int
    seed: int

    def folder(self, runs: Path) -> Path:
        """The cell's run directory."""
        return runs / self.env.split("/")[-1] / f"{self.algorithm}-n{self.n_trajectories}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> None:
        """Train in a process of its own, on one thread; what an interrupted start left is trained again."""
        import torch

        shutil.rmtree(folder, ignore_errors=True)
        torch.set_num_threads(1)
        from ganq_irl.experiment import load_run, resolve_config, run_experiment
        from ganq_irl.experiment.runner import evaluate_run_policy

        flags = {
            "algo": "gail" if self.algorithm == "frozen" else self.algorithm,
            "env": self.env,
            "demos": demonstrations_of(self.env),
            "n_trajectories": self.n_trajectories,
            "seed": self.seed,
            "device": "cpu",
            "control": "frozen" if self.algorithm == "frozen" else None,
            "timesteps": None if self.algorithm == "bc" else STEPS[self.env],
            "evaluation": {"every": 10_000 if self.algorithm != "bc" else 0},
        }
        result = run_experiment(resolve_config(flags, assignments=overrides), folder, progress_bar=False)
        final, _ = evaluate_run_policy(result.config, load_run(folder).policy("cpu"), episodes=100, seed=50_000)
        (folder / "final.json").write_text(json.dumps(final.to_json()), encoding="utf-8")


def demonstrations_of(env: str) -> str:
    from ganq_irl_demos import catalog

    return next(name for name, entry in catalog().items() if entry.env_id == env)


def normalizer(env: str) -> tuple[float, float]:
    from ganq_irl_demos import reference_returns

    references = reference_returns(env)
    assert references is not None
    return references


def curve(folder: Path, env: str) -> list[tuple[int, float]]:
    """(step, normalised return) of each evaluation during training."""
    random, expert = normalizer(env)
    path = folder / "progress.csv"
    if not path.is_file():
        return []
    with open(path, encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("eval/mean_reward")]
    return [
        (int(float(row["time/total_timesteps"])), (float(row["eval/mean_reward"]) - random) / (expert - random))
        for row in rows
    ]


def summarize(env: str, runs: Path, algorithms: list[str], counts: list[int], seeds: list[int]) -> list[str]:
    """The table of one environment."""
    random, expert = normalizer(env)
    lines = [
        f"## {env}",
        "",
        f"Random {random:.4g}, expert {expert:.4g}; {STEPS[env]:,} steps.",
        "",
        "| algorithm | demonstrations | seeds done | final (each) | normalised | seeds ≥ 0.9 | first at | worst after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for algorithm in algorithms:
        for count in counts if algorithm != "frozen" else counts[-1:]:
            folders = [Cell(env, algorithm, count, seed).folder(runs) for seed in seeds]
            done = [folder for folder in folders if (folder / "final.json").is_file()]
            if done:
                lines.append(_row(algorithm, count, done, len(folders), env))
    return [*lines, ""]


def _row(algorithm: str, count: int, done: list[Path], asked: int, env: str) -> str:
    random, expert = normalizer(env)
    returns = [json.loads((folder / "final.json").read_text(encoding="utf-8"))["mean_return"] for folder in done]
    scores = [(value - random) / (expert - random) for value in returns]
    firsts, worsts = [], []
    for folder in done:
        points = curve(folder, env)
        reached = [index for index, (_, score) in enumerate(points) if score >= TARGET]
        firsts.append(f"{points[reached[0]][0] // 1000}k" if reached else "-")
        worsts.append(f"{min(score for _, score in points[reached[0] :]):.2f}" if reached else "-")
    each = " ".join(f"{value:.4g}" for value in returns)
    return (
        f"| {algorithm} | {count} | {len(done)} of {asked} | {np.mean(returns):.4g} ({each}) | {np.mean(scores):.2f} "
        f"| {sum(score >= TARGET for score in scores)} | {' '.join(firsts)} | {' '.join(worsts)} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", action="append", choices=list(STEPS))
    parser.add_argument("--algos", default=",".join(ALGORITHMS))
    parser.add_argument("--n-demos", default="1,10")
    parser.add_argument("--seeds", default="110,111,112,113,114")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="a setting for every cell, as in `ganq-irl train --set`")
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/runs/learning"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/learning.md"))
    arguments = parser.parse_args()
    envs, algorithms = arguments.env or list(STEPS), arguments.algos.split(",")
    counts, seeds = [int(n) for n in arguments.n_demos.split(",")], [int(seed) for seed in arguments.seeds.split(",")]

    cells = [
        Cell(env, algorithm, count, seed)
        for env in envs
        for seed in seeds
        for algorithm in algorithms
        for count in (counts if algorithm != "frozen" else counts[-1:])
    ]
    run_cells(cells, arguments)

    lines = ["# Learning from demonstrations", ""]
    for env in envs:
        lines += summarize(env, arguments.runs, algorithms, counts, seeds)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/learning.py")])


if __name__ == "__main__":
    main()
