"""Evaluate the transfer of recovered rewards to other dynamics, relative to the true reward and to the old policy.

    python benchmarks/transfer.py --pair maze --jobs 1

trains state-only AIRL, AIRL and GAIL on the included demonstrations with the presets of `ganq-irl train`. Then, in the
changed environment, it trains a new policy on each reward and on the true reward with `ganq_irl.studies.reward_transfer`,
the implementation of `ganq-irl reward transfer`. There is one folder per cell under --runs, so that a second start continues
the first.

Scores are 0 for random actions and 1 for the true reward with the same seed, both in the changed environment, over 100
episodes from initial states that were not used in training.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import configured, final_of, finished, grid_parser, names_of, run_cells, versions, write_markdown

TARGET = 0.9
PAIRS: dict[str, tuple[str, str]] = {
    "maze": ("ganq_irl/PointMaze-v0", "maze"),
    "cartpole": ("ganq_irl/ContinuingCartPole-v0", "cartpole-continuing"),
    "pendulum": ("Pendulum-v1", "pendulum"),
}
"""Name -> training environment and demonstrations."""
METHODS: dict[str, dict[str, Any]] = {
    "airl, state-only": {"algo": "airl", "adversary": {"reward_inputs": ["observations"]}},
    "airl": {"algo": "airl", "adversary": {"reward_inputs": ["observations", "actions"]}},
    "gail": {"algo": "gail"},
}
PAPER = {"airl, state-only": "-8.82", "airl": "-31.2", "gail": "-29.9 (moved)"}
"""AIRL paper, table 1, point mass maze; the true reward gave -8.45 there."""


@dataclass(frozen=True)
class Cell:
    """A method and a seed: a trained run, and the transfer of its reward."""

    pair: str
    method: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the folder of the cell."""
        name = "".join(letter for letter in self.method if letter.isalnum() or letter == "-")
        return runs / self.pair / f"{name}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train, then train on the recovered reward."""
        from ganq_irl.environments import TRANSFER_PAIRS
        from ganq_irl.runs import run_experiment
        from ganq_irl.runs.rewards import read_reward
        from ganq_irl.studies.reward_transfer import TRUE, trained, transfer_configs, transfer_reward

        env, demos = PAIRS[self.pair]
        flags = {**METHODS[self.method], "env": env, "demos": demos, "seed": self.seed, "device": "cpu"}
        run = run_experiment(configured(flags, overrides), folder / "run", progress_bar=False)
        # Training on the true reward is the same for all methods: it is stored once per seed.
        shared = folder.parent / f"true-seed{self.seed}"
        trained(transfer_configs(read_reward(run.folder), TRANSFER_PAIRS[env])[TRUE], shared)
        shutil.copytree(shared, folder / "transfer" / TRUE)
        result = transfer_reward(run.folder, TRANSFER_PAIRS[env], out=folder / "transfer", progress_bar=False)
        return {"learned": run.evaluation.mean_return, **result.to_json()}


def table(pair: str, runs: Path, seeds: list[int]) -> list[str]:
    """Return the table of a pair: each method's policy in both environments, and a new one trained on its reward."""
    columns = ["method", "seeds done", "where it learned", "moved as it is", "retrained on its reward", "score moved"]
    columns += ["score retrained", "seeds ≥ 0.9", *(["paper"] if pair == "maze" else [])]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    true, random = {}, {}
    for method in METHODS:
        folders = {seed: Cell(pair, method, seed).folder(runs) for seed in seeds}
        done = {seed: final_of(folder) for seed, folder in folders.items() if finished([folder])}
        if not done:
            continue
        cells = [_shown([one["learned"] for one in done.values()])]
        for origin in ("moved", "recovered"):
            cells.append(_shown([one["evaluations"][origin]["mean_return"] for one in done.values()]))
        scores = {name: [one["evaluations"][name]["normalized"] for one in done.values()] for name in ("moved", "recovered")}
        cells += [f"{_mean(scores['moved'])}", f"{_mean(scores['recovered'])}"]
        cells.append(str(sum((score or 0) >= TARGET for score in scores["recovered"])))
        cells += [PAPER[method]] if pair == "maze" else []
        lines.append(f"| {method} | {len(done)} of {len(seeds)} | " + " | ".join(cells) + " |")
        for seed, one in done.items():
            true[seed], random[seed] = (one["evaluations"][name]["mean_return"] for name in ("true", "random"))
    return [*lines, "", f"True reward: {_shown(list(true.values()))}. Random: {_shown(list(random.values()))}.", ""]


def _shown(values: list[float]) -> str:
    return f"{np.mean(values):.4g} ({' '.join(f'{value:.4g}' for value in values)})" if values else "-"


def _mean(scores: list[float | None]) -> str:
    known = [score for score in scores if score is not None]
    return f"{np.mean(known):.2f}" if known else "-"


def main() -> int:
    parser = grid_parser(__doc__, "transfer", PAIRS, seeds="300,301,302,303,304", jobs=1, chosen="pair")
    parser.add_argument("--methods", default=";".join(METHODS), help=f"out of {'; '.join(METHODS)}")
    arguments = parser.parse_args()
    pairs, methods, seeds = arguments.pair or ["maze"], names_of(arguments.methods), arguments.seeds

    status = run_cells([Cell(pair, method, seed) for pair in pairs for seed in seeds for method in methods], arguments)

    lines = ["# Rewards where the dynamics differ", ""]
    for pair in pairs:
        lines += [f"## {pair}", "", f"Seeds {','.join(map(str, seeds))}.", "", *table(pair, arguments.runs, seeds)]
    write_markdown(arguments.out, [*lines, versions("python benchmarks/transfer.py")])
    return status


if __name__ == "__main__":
    sys.exit(main())
