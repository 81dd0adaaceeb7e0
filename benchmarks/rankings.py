"""Is the policy that T-REX or D-REX trains better than the best demonstration it was given?

    python benchmarks/rankings.py --env Pendulum-v1 --env HalfCheetah-v5

For each seed, FastSAC begins to learn on the environment's reward and plays an episode every few hundred steps. Those with
at most half of the expert's score are the demonstrations.

- T-REX gets all of them, ranked by their returns.
- D-REX gets the best three, without returns.

Then FastSAC learns on the reward that they recover. Scores are means of 50 episodes: 0 is random, and 1 the expert. Every
score is appended to the CSV file beside the page, so an interrupted run continues.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import append_row, configured, page_parser, read_rows, versions, write_markdown
from learning import normalizer

EPISODES, HIGHEST, BEST = 50, 0.5, 3


@dataclass(frozen=True)
class Task:
    """Settings for an environment: of the generator, and how often and how long."""

    generator: dict[str, Any]
    every: int
    most: int
    timesteps: int


PENDULUM = {"learning_rate": 1e-3, "gamma": 0.98, "policy_kwargs": {"net_arch": [64, 64]}}
CHEETAH = {"policy": "LayerNormCriticPolicy", "learning_rate": 7e-4, "learning_starts": 2000}
CHEETAH |= {"policy_kwargs": {"net_arch": [128, 128]}}
TASKS = {
    "Pendulum-v1": Task(PENDULUM, every=200, most=6_000, timesteps=10_000),
    "HalfCheetah-v5": Task(
        CHEETAH | {"policy_kwargs": {"net_arch": [128, 128]}}, every=1_000, most=40_000, timesteps=40_000
    ),
}


def score(env: str, returns: np.ndarray) -> float:
    """Return the normalized mean return."""
    random, expert = normalizer(env)
    return float((returns.mean() - random) / (expert - random))


def demonstrations(env: str, seed: int, path: Path) -> Any:
    """Record the episodes of a policy that learns, up to half of the expert's score, or read them from the file."""
    import gymnasium as gym
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    from ganq_irl.generators.factory import build_generator
    from ganq_irl_demos import load_demonstrations, record_episodes, save_demonstrations

    task = TASKS[env]
    if path.is_file():
        return load_demonstrations(path)
    played: list[Any] = []

    class Play(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % task.every == 0:
                played.append(record_episodes(self.model, gym.make(env), 1, seed=60_000 + 1000 * seed + len(played)))
            recent = [score(env, one.returns) for one in played[-3:]]
            return len(recent) < 3 or min(recent) <= HIGHEST

    generator = build_generator("fast-sac", make_vec_env(env, 1, seed=1000 + seed), seed=1000 + seed, **task.generator)
    generator.learn(task.most, callback=Play())
    kept = [one[0] for one in played if score(env, one.returns) <= HIGHEST]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_demonstrations(replace(played[0], trajectories=kept), path)
    return load_demonstrations(path)


def shown_to(algo: str, ranked: Any) -> Any:
    """Return the demonstrations that an algorithm gets."""
    if algo == "t-rex":
        return ranked
    best = np.argsort(-ranked.returns, kind="stable")[:BEST]
    return replace(ranked, trajectories=[replace(ranked[int(index)], rewards=None) for index in best])


def measure(algo: str, env: str, seed: int, folder: Path, overrides: list[str]) -> dict[str, float]:
    """Train, and return the score of the policy and of the best demonstration."""
    from ganq_irl.evaluation import evaluate_returns
    from ganq_irl.runs import load_run, run_experiment
    from ganq_irl_demos import save_demonstrations

    ranked = demonstrations(env, seed, folder / f"{env}-{seed}.npz")
    given = folder / f"{env}-{seed}-{algo}.npz"
    save_demonstrations(shown_to(algo, ranked), given)
    settings = {"algo": algo, "env": env, "demos": str(given), "generator": "fast-sac", "preset": "none", "seed": seed}
    settings |= {"device": "cpu", "timesteps": TASKS[env].timesteps, "generator_kwargs": TASKS[env].generator}
    run = folder / f"{algo}-{env}-{seed}"
    run_experiment(configured(settings, overrides), run, progress_bar=False)
    found = score(env, evaluate_returns(load_run(run).policy("cpu"), env, EPISODES, seed=90_000).returns)
    return {"demonstrations": len(ranked), "best": score(env, ranked.returns.max()), "score": found}


def page_of(rows: list[dict[str, str]]) -> list[str]:
    """Return a line for each method and environment."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["env"], row["method"]].append(row)
    lines = [
        "# Beyond the best demonstration",
        "",
        "| environment | method | seeds | demonstrations | best demonstration (each) | policy (each) | 20 % better |",
        "|---|---|---|---|---|---|---|",
    ]
    for (env, method), each in groups.items():
        best, found = (np.array([float(row[key]) for row in each]) for key in ("best", "score"))
        told = [f"{values.mean():.2f} ({' '.join(f'{x:.2f}' for x in values)})" for values in (best, found)]
        counts = " ".join(row["demonstrations"] for row in each)
        seeds = " ".join(row["seed"] for row in each)
        lines.append(
            f"| {env} | {method} | {seeds} | {counts} | {' | '.join(told)} | {sum(found >= 1.2 * best)} of {len(each)} |"
        )
    return lines


def main() -> int:
    """Measure what is not in the CSV yet, and write the page."""
    parser = page_parser(__doc__, "rankings.md")
    parser.add_argument("--env", action="append", choices=list(TASKS))
    parser.add_argument("--algo", action="append", choices=["t-rex", "d-rex"])
    parser.add_argument("--seeds", default="11,12,13,14,15", help="separated by commas")
    parser.add_argument(
        "--runs", type=Path, default=Path("benchmarks/runs/rankings"), help="folder of demonstrations and runs"
    )
    parser.add_argument("--set", action="append", default=[], help="a setting, as in `ganq-irl train --set`")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    table = arguments.out.with_suffix(".csv")
    done = {(row["env"], row["method"], row["seed"]) for row in read_rows(table)}
    for env in arguments.env or TASKS:
        for seed in arguments.seeds.split(","):
            for algo in arguments.algo or ("t-rex", "d-rex"):
                if (env, algo, seed) not in done:
                    found = measure(algo, env, int(seed), arguments.runs, arguments.set)
                    row = {"env": env, "method": algo, "seed": seed, **{key: round(each, 4) for key, each in found.items()}}
                    print(row, file=sys.stderr)
                    append_row(table, row)
    write_markdown(arguments.out, [*page_of(read_rows(table)), "", versions("python benchmarks/rankings.py")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
