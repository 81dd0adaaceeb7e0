"""What a number of answers is worth: preferences beside the same generator on the true reward.

The teacher is synthetic: it compares two segments by the environment's reward. ``score`` is 0 for random actions and 1 for
the mean return that the same generator, with the same settings and steps, reaches on the true reward.

- ``true reward``: the generator on the environment's reward.
- ``answers``: preferences from right answers alone.
- ``answers, 10 % wrong``: a tenth of the answers is wrong.

    python benchmarks/preferences.py [--env Pendulum-v1] [--seeds 11,12,13,14,15] [--jobs 2]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import FINAL, configured, final_of, grid_parser, run_cells, versions, write_markdown, write_rows

QUERIES = {"Pendulum-v1": 100, "Hopper-v5": 500, "HalfCheetah-v5": 500}
PRESETS = {"Pendulum-v1": "preferences-pendulum"}
METHODS = {"true reward": 0.0, "answers": 0.0, "answers, 10 % wrong": 0.1}
"""Methods, and the share of wrong answers."""
EPISODES, SEED = 50, 20_000


@dataclass(frozen=True)
class Cell:
    """One method on one environment with one seed."""

    env: str
    method: str
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the run directory."""
        return runs / f"{self.env}-{self.method.replace(' ', '-').replace(',', '').replace('%', 'percent')}-seed{self.seed}"

    def run(self, folder: Path, overrides: list[str]) -> dict[str, Any]:
        """Train and evaluate."""
        import torch

        torch.set_num_threads(1)
        from ganq_irl import load_policy
        from ganq_irl.evaluation import evaluate_returns
        from ganq_irl.runs import run_experiment
        from ganq_irl.runs.resolve import on_true_reward

        asked = {"teacher": "true-reward", "n_queries": QUERIES[self.env], "teacher_mistakes": METHODS[self.method]}
        settings = {"algo": "preferences", "env": self.env, "generator": "fast-sac", "seed": self.seed, "device": "cpu"}
        config = configured({**settings, "preset": PRESETS.get(self.env, "auto"), "imitation": asked}, overrides)
        if self.method == "true reward":
            config = on_true_reward(config)
        run_experiment(config, folder, progress_bar=False)
        played = evaluate_returns(load_policy(folder / "policy"), self.env, EPISODES, seed=SEED)
        return {"return": float(played.returns.mean()), "comparisons": answered(folder)}


def answered(folder: Path) -> int:
    """Return the number of answers in a run's folder."""
    from ganq_irl.feedback import Questions

    return len(Questions(folder / "feedback").answers())


def main() -> int:
    """Run the unfinished cells, then write the page and the CSV."""
    parser = grid_parser(__doc__, "preferences", QUERIES, seeds="11,12,13,14,15", jobs=2)
    parser.add_argument("--method", action="append", choices=METHODS, help="may be given several times; all by default")
    arguments = parser.parse_args()
    envs, methods = arguments.env or ["Pendulum-v1"], arguments.method or list(METHODS)
    cells = [Cell(env, method, seed) for env in envs for seed in arguments.seeds for method in methods]
    status = run_cells(cells, arguments)
    done = {cell: final_of(cell.folder(arguments.runs)) for cell in cells if (cell.folder(arguments.runs) / FINAL).is_file()}
    rows = [row for env in envs for row in scored(env, done)]
    lines = ["# What a number of answers is worth", "", versions("python benchmarks/preferences.py"), ""]
    lines += [
        (__doc__ or "").split("\n\n")[1],
        "",
        "| environment | method | answers | return | score |",
        "|---|---|---|---|---|",
    ]
    for env in envs:
        for method in methods:
            own = [row for row in rows if (row["env"], row["method"]) == (env, method)]
            columns = (" ".join(row[key] for row in own) for key in ("comparisons", "return", "score"))
            lines.append(f"| {env} | {method} | {' | '.join(columns)} |")
    write_markdown(arguments.out, [*lines, "", "By seed. Every run: [preferences.csv](preferences.csv)."])
    write_rows(arguments.out, rows)
    return status


def scored(env: str, done: dict[Cell, dict[str, Any]]) -> list[dict[str, str]]:
    """Return a row for each run in an environment, with its score."""
    from ganq_irl.evaluation.rollouts import random_returns

    own = {cell: final for cell, final in done.items() if cell.env == env}
    best = [final["return"] for cell, final in own.items() if cell.method == "true reward"]
    zero, one = float(np.mean(random_returns(env, EPISODES, seed=SEED).returns)), float(np.mean(best)) if best else np.nan
    return [
        {
            "env": env,
            "method": cell.method,
            "seed": str(cell.seed),
            "comparisons": str(final["comparisons"]),
            "return": f"{final['return']:.1f}",
            "score": f"{(final['return'] - zero) / (one - zero):.3f}",
        }
        for cell, final in own.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
