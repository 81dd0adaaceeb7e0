"""Evaluate recovered rewards: EPIC, correlations, and the true return of a new policy trained on them.

    python benchmarks/rewards.py --env Pendulum-v1 --env ganq_irl/PointMaze-v0 --jobs 2

trains GAIL, AIRL, state-only AIRL and DAC on all included demonstrations with the presets of `ganq-irl train`, and compares
their rewards with the environment's, like `ganq-irl reward compare`, on the same coverage for all four: states visited by
random actions, the demonstrations and the four policies, a third each. Then a new policy is trained on each reward, and in
the same way on the true one. There is one folder per cell (environment and seed) under --runs, so that a second start
continues the first.

"policy" and "retrained" are 0 for random actions and 1 for the policy trained on the true reward with the same seed.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import configured, final_of, finished, grid_parser, run_cells, versions, write_markdown

ENVS = {"Pendulum-v1": "pendulum", "ganq_irl/PointMaze-v0": "maze", "ganq_irl/ContinuingCartPole-v0": "cartpole-continuing"}
"""Gymnasium ID -> demonstrations. Their episodes never end early, and their rewards are known formulas."""
METHODS: dict[str, dict[str, Any]] = {
    "gail": {"algo": "gail", "generator": "fast-ppo"},
    "airl": {"algo": "airl", "generator": "fast-ppo", "adversary": {"reward_inputs": ["observations", "actions"]}},
    "airl, state-only": {"algo": "airl", "generator": "fast-ppo", "adversary": {"reward_inputs": ["observations"]}},
    "dac": {"algo": "dac"},
}
EPISODES = 20


@dataclass(frozen=True)
class Cell:
    """An environment and a seed: four rewards, compared and trained on."""

    env: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the folder of the cell."""
        return runs / self.env.split("/")[-1] / f"seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train the four methods, compare their rewards, and train on them."""
        from ganq_irl.runs import run_experiment

        runs = {}
        for name, settings in METHODS.items():
            flags = {**settings, "env": self.env, "demos": ENVS[self.env], "seed": self.seed, "device": "cpu"}
            runs[name] = run_experiment(configured(flags, overrides), folder / name, progress_bar=False).folder
        return {"compared": self._compared(runs), "retrained": self._retrained(runs, folder)}

    def _compared(self, runs: dict[str, Path]) -> dict[str, Any]:
        from ganq_irl.runs.rewards import read_reward
        from ganq_irl.studies.reward_comparison import (
            Transitions,
            compare_rewards,
            gather_transitions,
            known_reward,
        )
        from ganq_irl.types import Batch

        stored = {name: read_reward(folder) for name, folder in runs.items()}
        gathered = [gather_transitions(one, None, episodes=EPISODES, seed=self.seed) for one in stored.values()]
        policies = [one.pop("policy") for one in gathered]
        pooled = Transitions(
            Batch.cat([one.batch for one in policies]),
            np.concatenate([np.asarray(one.rewards) for one in policies]),
            policies[0].first_length,
        )
        rewards = {name: one.reward for name, one in stored.items()}
        return compare_rewards(rewards, {**gathered[0], "policies": pooled}, known_reward(self.env), seed=self.seed)

    def _retrained(self, runs: dict[str, Path], folder: Path) -> dict[str, Any]:
        from ganq_irl.runs.rewards import read_reward
        from ganq_irl.studies.reward_transfer import RESULT, TRUE, trained, transfer_configs, transfer_reward

        trained(transfer_configs(read_reward(runs["gail"]), self.env)[TRUE], folder / TRUE)  # once for all methods
        found = {}
        for name, run in runs.items():
            out = folder / f"{name}-retrained"
            shutil.copytree(folder / TRUE, out / TRUE)
            transfer_reward(run, self.env, out=out, progress_bar=False)
            found[name] = json.loads((out / RESULT).read_text(encoding="utf-8"))["evaluations"]
        return found


def table(env: str, runs: Path, seeds: list[int]) -> list[str]:
    """Return one row per method, with means over seeds followed by the worst seed."""
    done = [final_of(folder) for folder in finished(Cell(env, seed).folder(runs) for seed in seeds)]
    if not done:
        return []
    columns = ["method", "policy", "EPIC", "Pearson, Spearman: random", "policies", "demonstrations", "retrained"]
    lines = [f"## {env}", "", f"{len(done)} of {len(seeds)} seeds.", ""]
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for method in METHODS:
        compared = [one["compared"] for one in done]
        origins = [
            ", ".join(
                _highest([one["correlations"][method][origin][kind] for one in compared]) for kind in ("pearson", "spearman")
            )
            for origin in ("random", "policies", "demonstrations")
        ]
        earned = [one["retrained"][method] for one in done]
        cells = [
            _highest([one["moved"]["normalized"] for one in earned]),
            _lowest([one["epic"][method]["true"] for one in compared]),
            *origins,
            _highest([one["recovered"]["normalized"] for one in earned]),
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    true = [one["retrained"]["gail"]["true"]["mean_return"] for one in done]
    return [*lines, "", f"Trained on the true reward: {np.mean(true):.4g} ({' '.join(f'{one:.4g}' for one in true)}).", ""]


def _highest(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f} ({min(known):.2f})" if known else "-"


def _lowest(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f} ({max(known):.2f})" if known else "-"


def main() -> int:
    arguments = grid_parser(__doc__, "rewards", ENVS, seeds="400,401,402,403,404", jobs=1).parse_args()
    envs, seeds = arguments.env or list(ENVS), arguments.seeds
    status = run_cells([Cell(env, seed) for seed in seeds for env in envs], arguments)
    lines = ["# Recovered rewards", "", "Mean over seeds, the worst seed in brackets; a dash where a side is constant.", ""]
    for env in envs:
        lines += table(env, arguments.runs, seeds)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/rewards.py")])
    return status


if __name__ == "__main__":
    sys.exit(main())
