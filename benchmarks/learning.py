"""Do imitation algorithms learn on every seed, and stay there? Compared with behavioral cloning and the frozen control.

    python benchmarks/learning.py --env Pendulum-v1 --jobs 2
    python benchmarks/learning.py --env Pendulum-v1 --methods "dac;dac, states alone;sqil;iq-learn;bc;dac, frozen" --jobs 2

runs a grid of methods, numbers of included demonstrations and seeds with the presets of `ganq-irl train`, with one run
directory per cell under --runs, so that a second start continues the first. Then it writes the table of all finished cells.
A seed determines networks, environments and the choice of demonstrations.

Scores are normalized: 0 is the random policy, and 1 the expert of the demonstrations, both from the catalog. "final" is the
last policy's mean over 100 episodes, from initial states that were not used in training. "first" is the first evaluation (20
episodes) of at least 0.9, and "worst after" the lowest evaluation after that, which shows whether the policy keeps its
level.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    configured,
    final_of,
    finished,
    grid_parser,
    names_of,
    run_cells,
    settings_of_run,
    versions,
    write_markdown,
)
from peers import run_imitation_gail

TARGET = 0.9
EVALUATIONS = 20
STEPS = {
    "Pendulum-v1": 150_000,
    "MountainCar-v0": 300_000,
    "Acrobot-v1": 150_000,
    "ganq_irl/ContinuingAcrobot-v0": 300_000,
    "HalfCheetah-v5": 1_000_000,
    "Hopper-v5": 1_000_000,
    "Walker2d-v5": 1_000_000,
    "Ant-v5": 1_000_000,
}
REPLAY_STEPS = {"Pendulum-v1": 20_000} | dict.fromkeys(("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5"), 200_000)
"""Steps of the methods with a replay buffer, which need a tenth."""

ROLLOUTS = {"generator": "fast-ppo"}
"""SB3's PPO up to rounding, in at most half the time."""
STATES_ALONE = {"inputs": ["observations", "next_observations"], "expert_share": 0.0}
"""No share, since it would replay demonstrated actions."""
CHOICES_OF_AIRL: dict[str, dict[str, Any]] = {
    "f - log pi": {"adversary": {"entropy_weight": 1.0}},
    "entropy coefficient": {"generator_kwargs": {"ent_coef": 0.01}},
    "no PopArt": {"adversary": {"normalize_values": False}},
    "bound of 3": {"adversary": {"stabilizers": [{"name": "spectral-norm", "scale": 3.0}]}},
    "no bound": {"adversary": {"stabilizers": []}},
}
"""Settings described in docs/benchmarks/pendulum_one.md and replay_choices.md."""
METHODS: dict[str, dict[str, Any]] = {
    "gail": {"algo": "gail", **ROLLOUTS},
    "airl": {"algo": "airl", **ROLLOUTS},
    "frozen": {"algo": "gail", "control": "frozen", **ROLLOUTS},
    "bc": {"algo": "bc"},
    "dac": {"algo": "dac"},
    "dac, td3": {"algo": "dac", "generator": "td3"},
    "dac, states alone": {"algo": "dac", "adversary": STATES_ALONE},
    "dac, half demonstrated": {"algo": "dac", "adversary": {"expert_share": 0.5}},
    "dac, none demonstrated": {"algo": "dac", "adversary": {"expert_share": 0.0}},
    "dac, frozen": {"algo": "dac", "control": "frozen"},
    "gaifo": {"algo": "gaifo", **ROLLOUTS},
    "sqil": {"algo": "sqil"},
    "iq-learn": {"algo": "iq-learn"},
    **{f"airl, {name}": {"algo": "airl", **ROLLOUTS, **choice} for name, choice in CHOICES_OF_AIRL.items()},
    "imitation's gail": {"algo": "dac"},  # imitation's own GAIL, with the generator and demonstrations of ``dac``
}
ON_POLICY = ("gail", "airl", "frozen", "gaifo", *(f"airl, {name}" for name in CHOICES_OF_AIRL))
"""Methods that learn from rollouts of PPO."""


@dataclass(frozen=True)
class Cell:
    """A run of the grid."""

    env: str
    method: str
    n_trajectories: int
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the cell's run directory."""
        name = "".join(letter if letter.isalnum() else "-" for letter in self.method)
        return runs / self.env.split("/")[-1] / f"{name}-n{self.n_trajectories}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and evaluate it."""
        from ganq_irl.runs import load_run, run_experiment
        from ganq_irl.runs.runner import evaluate_run_policy

        steps = steps_of(self.env, self.method)
        flags = {
            **METHODS[self.method],
            "env": self.env,
            "demos": demonstrations_of(self.env),
            "n_trajectories": self.n_trajectories,
            "seed": self.seed,
            "device": "cpu",
            "timesteps": steps,
            "evaluation": {"every": 0 if steps is None else steps // EVALUATIONS},
        }
        config = configured(flags, overrides)
        if self.method == "imitation's gail":
            return run_imitation_gail(config, folder)
        result = run_experiment(config, folder, progress_bar=False)
        final, _ = evaluate_run_policy(result.config, load_run(folder).policy("cpu"), episodes=100, seed=50_000)
        return final.to_json()


def steps_of(env: str, method: str) -> int | None:
    """Return the environment steps of a run; BC takes none."""
    return None if method == "bc" else (STEPS if method in ON_POLICY else REPLAY_STEPS)[env]


def demonstrations_of(env: str) -> str:
    from ganq_irl_demos import catalog

    return next(name for name, entry in catalog().items() if entry.env_id == env)


def normalizer(env: str) -> tuple[float, float]:
    from ganq_irl_demos import reference_returns

    references = reference_returns(env)
    assert references is not None
    return references


def curve(folder: Path, env: str) -> list[tuple[int, float]]:
    """Return (step, normalized return) of each evaluation during training."""
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


def results_table(env: str, runs: Path, methods: list[str], counts: list[int], seeds: list[int]) -> list[str]:
    """Return the table of one environment."""
    random, expert = normalizer(env)
    every = [Cell(env, *of).folder(runs) for of in product(methods, counts, seeds)]
    lines = [
        f"## {env}",
        "",
        f"Random {random:.4g}, expert {expert:.4g}; {steps_taken(every)}.",
        "",
        "| method | demonstrations | seeds done | final (each) | normalized | seeds ≥ 0.9 | first at | worst after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in methods:
        for count in counts_of(method, counts):
            folders = [Cell(env, method, count, seed).folder(runs) for seed in seeds]
            done = finished(folders)
            if done:
                lines.append(_row(method, count, done, len(folders), env))
    return [*lines, ""]


def steps_taken(folders: Iterable[Path]) -> str:
    """Format the steps of the finished runs, from their configurations."""
    taken = set()
    for folder in finished(folders):
        config = settings_of_run(folder)
        if config["algo"] != "bc":
            taken.add((config["timesteps"], "on-policy" if config["algo"] in ON_POLICY else "from replay"))
    return ", ".join(f"{steps:,} steps {where}" for steps, where in sorted(taken, reverse=True)) or "no steps"


def counts_of(method: str, counts: list[int]) -> list[int]:
    """Return numbers of demonstrations; a control that does not use them runs once."""
    return counts if "frozen" not in method else counts[-1:]


def _row(method: str, count: int, done: list[Path], asked: int, env: str) -> str:
    random, expert = normalizer(env)
    returns = [final_of(folder)["mean_return"] for folder in done]
    scores = [(value - random) / (expert - random) for value in returns]
    firsts, worsts = [], []
    for folder in done:
        points = curve(folder, env)
        reached = [index for index, (_, score) in enumerate(points) if score >= TARGET]
        firsts.append(f"{points[reached[0]][0] / 1000:.3g}k" if reached else "-")
        worsts.append(f"{min(score for _, score in points[reached[0] :]):.2f}" if reached else "-")
    each = " ".join(f"{value:.4g}" for value in returns)
    return (
        f"| {method} | {count} | {len(done)} of {asked} | {np.mean(returns):.4g} ({each}) | {np.mean(scores):.2f} "
        f"| {sum(score >= TARGET for score in scores)} | {' '.join(firsts)} | {' '.join(worsts)} |"
    )


def main() -> int:
    parser = grid_parser(__doc__, "learning", STEPS, seeds="120,121,122,123,124", jobs=2)
    parser.add_argument("--methods", default="gail;airl;bc;frozen", help=f"out of {'; '.join(METHODS)}")
    parser.add_argument("--n-demos", default="1,10")
    arguments = parser.parse_args()
    envs, methods = arguments.env or list(STEPS)[:4], names_of(arguments.methods)
    counts, seeds = [int(n) for n in arguments.n_demos.split(",")], arguments.seeds

    cells = [
        Cell(env, method, count, seed)
        for env in envs
        for seed in seeds
        for method in methods
        for count in counts_of(method, counts)
    ]
    status = run_cells(cells, arguments)

    lines = ["# Learning from demonstrations", ""]
    for env in envs:
        lines += results_table(env, arguments.runs, methods, counts, seeds)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/learning.py")])
    return status


if __name__ == "__main__":
    sys.exit(main())
